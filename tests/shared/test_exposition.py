"""R-OPS-5: what a process tells of itself and its children."""

import os
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import psutil
from deploy.observability.series import samples
from prometheus_client import PROCESS_COLLECTOR, REGISTRY

from simorgh_shared import exposition
from simorgh_shared.exposition import look_at_children

BURN = "import subprocess, sys, time; t = time.process_time()\nwhile time.process_time() - t < 0.2: pass\n"
WAIT = "p = subprocess.Popen(['sleep', '60']); print('ready', flush=True); sys.stdin.read(); p.kill(); p.wait()"


class TestLookAtChildren:
    def test_it_counts_descendants_and_keeps_the_time_of_those_that_have_ended(self) -> None:
        before = look_at_children(os.getpid())
        with subprocess.Popen(
            [sys.executable, "-c", BURN + WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            during = look_at_children(os.getpid())
            held = psutil.Process(child.pid).memory_info().rss
            assert during.num_processes == before.num_processes + 2
            assert during.resident_bytes - before.resident_bytes >= held * 0.9
            assert during.cpu_s - before.cpu_s >= 0.2
        after = look_at_children(os.getpid())
        assert after.num_processes == before.num_processes
        assert after.cpu_s >= during.cpu_s - 0.02  # in ticks of the kernel


class TestRender:
    def test_it_says_which_program_of_which_version_this_is(self) -> None:
        exposition.introduce("io")
        scraped = samples(exposition.render().decode())
        told = {have["program"]: have["version"] for name, have, _ in scraped if name == "simorgh_build_info"}
        assert told["io"] == metadata.version("simorgh-shared")

    def test_it_has_no_series_of_when_counters_were_made(self) -> None:
        """They would double the series of each counter."""
        exposition.introduce("io")
        assert not [name for name, _, _ in samples(exposition.render().decode()) if name.endswith("_created")]

    def test_a_program_shows_itself_its_children_and_no_file_is_read_for_a_scrape(self) -> None:
        """In a busy gateway each file costs a scrape the interpreter's lock: a thread reads them before."""
        exposition.introduce("io")
        deadline = time.monotonic() + 20
        while REGISTRY.get_sample_value("simorgh_child_processes") is None:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        assert PROCESS_COLLECTOR not in REGISTRY._collector_to_names
        assert (REGISTRY.get_sample_value("process_cpu_seconds_total") or 0) > 0

    def test_a_folder_that_is_shown_has_its_space(self, tmp_path: Path) -> None:
        exposition.show_folder("work", tmp_path)
        free = REGISTRY.get_sample_value("simorgh_folder_free_bytes", {"folder": "work"})
        size = REGISTRY.get_sample_value("simorgh_folder_size_bytes", {"folder": "work"})
        assert free is not None
        assert size is not None
        assert 0 < free < size
