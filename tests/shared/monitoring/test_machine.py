"""Figures of this very machine and process."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from simorgh_shared.monitoring.machine import Machine, facts, figures

BURN = "import sys, time\nx = bytearray(64 << 20)\nprint('up', flush=True)\nwhile time.process_time() < 20: pass"


class TestMachine:
    def test_a_process_is_measured_with_what_it_started(self, tmp_path: Path) -> None:
        """R-OPS-3: a child that computes and holds 64 MiB is seen in its parent's figures."""
        machine = Machine(tmp_path)
        first = machine.look()
        assert first.process.cpu_percent is None
        assert "cpu_percent" in first.missing
        with subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            machine.look()
            begun = psutil.Process(child.pid).cpu_times().user
            while psutil.Process(child.pid).cpu_times().user - begun < 0.3:
                time.sleep(0.02)
            second = machine.look()
            child.kill()
        assert second.process.cpu_percent is not None
        assert second.process.cpu_percent > 5
        assert second.process.processes >= first.process.processes + 1
        assert second.process.memory_bytes > first.process.memory_bytes + (60 << 20)
        assert second.node.cpu_percent is not None
        assert second.node.cpu_percent > 0
        assert "cpu_percent" not in second.missing

    def test_a_machine_is_what_the_system_says(self, tmp_path: Path) -> None:
        """R-OPS-3."""
        node = Machine(tmp_path).look().node
        memory = psutil.virtual_memory()
        assert (node.memory_bytes, node.cpus) == (memory.total, psutil.cpu_count())
        assert abs(node.memory_used_bytes - (memory.total - memory.available)) < memory.total / 4
        assert node.disk_bytes == psutil.disk_usage(str(tmp_path)).total
        assert facts().architecture

    def test_what_nobody_looks_at_is_null_with_the_reason(self, tmp_path: Path) -> None:
        blind = Machine(tmp_path / "gone").look()
        assert (blind.node.gpus, blind.node.disk_bytes) == (None, None)
        assert {"gpus", "disk"} <= blind.missing.keys()
        none = Machine(tmp_path, gpus=list).look()
        assert none.node.gpus == []
        assert "driver" in none.missing["gpus"]

    def test_the_history_has_numbers_alone(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        machine.look()
        flat = figures(machine.look())
        assert {"node_cpu_percent", "node_memory_used_bytes", "cpu_percent", "memory_bytes"} <= flat.keys()
        assert all(value is None or isinstance(value, int | float) for value in flat.values())

    def test_what_a_machine_tells_itself_is_no_network(self, tmp_path: Path) -> None:
        """R-OPS-3: 10 MB over the loopback are not counted."""
        machine = Machine(tmp_path)
        machine.look()
        begun = time.monotonic()
        with socket.socket(type=socket.SOCK_DGRAM) as sends, socket.socket(type=socket.SOCK_DGRAM) as takes:
            takes.bind(("127.0.0.1", 0))
            for _ in range(1_000):
                sends.sendto(bytes(10_000), takes.getsockname())
        told = machine.look().node.network_sent_bytes_per_s
        assert (told or 0.0) * (time.monotonic() - begun) < 5_000_000
