"""The limits of the control group that this process is in, and what it takes of them: versions 2 and 1."""

from dataclasses import dataclass
from pathlib import Path

_NO_LIMIT_V1 = 1 << 60  # version 1 says "none" by a number near 2^63


@dataclass(frozen=True)
class GroupReading:
    """None where there is no limit or no figure."""

    cpus: float | None
    cpu_seconds: float | None
    memory_bytes: int | None
    memory_used_bytes: int | None


def read(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> GroupReading | None:
    """Look now; None in no group, or in one without any limit: then the machine's figures are the process's too."""
    if (root / "cgroup.controllers").exists():
        found = _read_v2(root, own)
    elif (root / "memory").is_dir():
        found = _read_v1(root)
    else:
        return None
    return None if found.cpus is None and found.memory_bytes is None else found


def _read_v2(root: Path, own: Path) -> GroupReading:
    groups = _groups(root, own)
    stat = _table(groups[0] / "cpu.stat")
    used = _number(groups[0] / "memory.current")
    inactive = _table(groups[0] / "memory.stat").get("inactive_file", 0)  # cache that goes when memory is wanted
    limits = [_number(group / "memory.max") for group in groups]
    shares = [_cpus(group / "cpu.max") for group in groups]
    return GroupReading(
        cpus=min((one for one in shares if one is not None), default=None),
        cpu_seconds=stat["usage_usec"] / 1e6 if "usage_usec" in stat else None,
        memory_bytes=min((one for one in limits if one is not None), default=None),
        memory_used_bytes=None if used is None else max(0, used - inactive),
    )


def _groups(root: Path, own: Path) -> list[Path]:
    """The own group and those around it. In a namespace of its own the group's path is the root's."""
    lines = _text(own).splitlines()
    path = next((line.partition("::")[2].strip("/") for line in lines if line.startswith("0::")), "")
    group = root / path
    if not (group / "cgroup.controllers").exists():
        group = root
    return [one for one in (group, *group.parents) if one == root or root in one.parents]


def _read_v1(root: Path) -> GroupReading:
    quota, period = (_number(root / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    limit, used = (_number(root / "memory" / f"memory.{name}_in_bytes") for name in ("limit", "usage"))
    cpu_ns = _number(root / "cpuacct" / "cpuacct.usage")
    return GroupReading(
        cpus=quota / period if quota is not None and quota > 0 and period else None,
        cpu_seconds=None if cpu_ns is None else cpu_ns / 1e9,
        memory_bytes=None if limit is None or limit >= _NO_LIMIT_V1 else limit,
        memory_used_bytes=used,
    )


def _cpus(path: Path) -> float | None:
    quota, _, period = _text(path).partition(" ")
    return int(quota) / int(period) if quota.isdecimal() else None


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else None


def _table(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
