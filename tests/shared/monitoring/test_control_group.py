"""Limits of control groups, from folders as the kernel shows them."""

from collections.abc import Mapping
from pathlib import Path

from simorgh_shared.monitoring import control_group
from simorgh_shared.monitoring.control_group import GroupReading


def written(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


V2 = {
    "cgroup.controllers": "cpu memory\n",
    "pods/cgroup.controllers": "cpu memory\n",
    "pods/memory.max": "1000000\n",
    "pods/cpu.max": "400000 100000\n",
    "pods/one/cgroup.controllers": "cpu memory\n",
    "pods/one/memory.max": "max\n",
    "pods/one/memory.current": "300000\n",
    "pods/one/memory.stat": "anon 200000\ninactive_file 60000\n",
    "pods/one/cpu.max": "150000 100000\n",
    "pods/one/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
}


class TestRead:
    def test_the_tightest_limit_around_a_process_counts(self, tmp_path: Path) -> None:
        """R-OPS-3: cache that would go when memory is wanted is not use."""
        own = written(tmp_path / "proc", {"cgroup": "0::/pods/one\n"}) / "cgroup"
        found = control_group.read(written(tmp_path / "fs", V2), own)
        assert found == GroupReading(cpus=1.5, cpu_seconds=2.5, memory_bytes=1_000_000, memory_used_bytes=240_000)

    def test_in_a_namespace_of_its_own_the_root_is_the_group(self, tmp_path: Path) -> None:
        files = {name.removeprefix("pods/one/"): text for name, text in V2.items() if name.startswith("pods/one/")}
        own = written(tmp_path / "proc", {"cgroup": "0::/../../elsewhere\n"}) / "cgroup"
        found = control_group.read(written(tmp_path / "fs", files), own)
        assert found is not None
        assert (found.cpus, found.memory_bytes) == (1.5, None)

    def test_version_1_says_no_limit_by_a_huge_number(self, tmp_path: Path) -> None:
        files = {
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/memory.usage_in_bytes": "5000\n",
            "cpu/cpu.cfs_quota_us": "50000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "cpuacct/cpuacct.usage": "1500000000\n",
        }
        found = control_group.read(written(tmp_path / "fs", files), tmp_path / "none")
        assert found == GroupReading(cpus=0.5, cpu_seconds=1.5, memory_bytes=None, memory_used_bytes=5000)

    def test_without_any_limit_the_machine_is_the_limit(self, tmp_path: Path) -> None:
        files = {"cgroup.controllers": "cpu memory\n", "cpu.stat": "usage_usec 1\n"}
        assert control_group.read(written(tmp_path / "fs", files), tmp_path / "none") is None
        assert control_group.read(tmp_path / "nothing", tmp_path / "none") is None
