"""What a container with limits may use, by files as the kernel writes them."""

import os
from pathlib import Path

import psutil
import pytest

from simorgh_shared import allowance
from simorgh_shared.monitoring import control_group
from simorgh_shared.monitoring.control_group import GroupReading


@pytest.fixture
def group(tmp_path: Path) -> GroupReading:
    """A container of 512 MiB and a core and a half."""
    files = {"cgroup.controllers": "cpu memory", "memory.max": f"{512 << 20}\n", "cpu.max": "150000 100000\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    own = tmp_path / "own"
    own.write_text("0::/\n")
    found = control_group.read(tmp_path, own)
    assert found is not None
    return found


def test_a_containers_limits_count(group: GroupReading) -> None:
    """R-DEPLOY-2: budgets and threads follow them, not the machine."""
    assert allowance.memory_bytes(group) == 512 << 20
    assert allowance.cores(group) == 1


def test_a_limit_beyond_the_machine_is_none() -> None:
    """R-DEPLOY-2: nor is there more than the machine has."""
    beyond = GroupReading(cpus=4096.0, cpu_seconds=None, memory_bytes=1 << 60, memory_used_bytes=None)
    assert allowance.memory_bytes(beyond) == psutil.virtual_memory().total
    assert allowance.cores(beyond) == len(os.sched_getaffinity(0))
