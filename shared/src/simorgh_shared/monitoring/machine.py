"""Measures this machine and this process with all that it has started. Rates are over the time since the last look."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from simorgh_shared.monitoring import control_group
from simorgh_shared.schemas.monitoring import (
    GpuFigures,
    LimitFigures,
    NodeFacts,
    NodeFigures,
    ProcessFigures,
    Sample,
)

_SAYS_CONTAINER = ("/.dockerenv", "/run/.containerenv")
_Pair = tuple[float | None, float | None]
_FIRST = "there is no earlier look to compare with yet"


def facts() -> NodeFacts:
    """What of this machine does not change."""
    return NodeFacts(
        system=f"{platform.system()} {platform.release()}",
        architecture=platform.machine(),
        cpu_model=_cpu_model(),
        is_container="KUBERNETES_SERVICE_HOST" in os.environ or any(Path(path).exists() for path in _SAYS_CONTAINER),
    )


@dataclass(frozen=True)
class _Counters:
    """What only grows, at one moment."""

    at: float
    cpu_busy_s: float
    cpu_all_s: float
    own_cpu_s: float
    group_cpu_s: float | None
    disk: tuple[int, int] | None
    network: tuple[int, int] | None


class Machine:
    """Looks again and again; for one thread."""

    def __init__(self, folder: Path, gpus: Callable[[], list[GpuFigures]] | None = None) -> None:
        """`folder` tells which file system is meant; without `gpus` nobody looks at them."""
        self._folder = folder
        self._gpus = gpus
        self._own = psutil.Process()
        self._last: _Counters | None = None

    def look(self) -> Sample:
        """Measure now."""
        missing: dict[str, str] = {}
        group = control_group.read()
        own_cpu_s, own_bytes, num_processes = self._family()
        now = _counters(own_cpu_s, group.cpu_seconds if group else None)
        last, self._last = self._last, now
        rates = _Rates(last, now)
        if last is None:
            missing |= dict.fromkeys(("cpu_percent", "disk_io", "network_io"), _FIRST)
        if now.disk is None:
            missing["disk_io"] = "this system does not count what disks do"
        if now.network is None:
            missing["network_io"] = "this system does not count what networks do"
        return Sample(
            node=self._node(rates, missing),
            process=ProcessFigures(cpu_percent=rates.own_percent, memory_bytes=own_bytes, processes=num_processes),
            limits=None
            if group is None
            else LimitFigures(
                cpus=group.cpus,
                cpus_used=rates.group_cpus,
                memory_bytes=group.memory_bytes,
                memory_used_bytes=group.memory_used_bytes,
            ),
            missing=missing,
        )

    def _node(self, rates: "_Rates", missing: dict[str, str]) -> NodeFigures:
        memory = psutil.virtual_memory()
        size, used, available = self._disk(missing)
        if self._gpus is None:
            missing["gpus"] = "this process uses none and does not look"
        gpus = self._gpus() if self._gpus is not None else None
        if gpus == []:
            missing["gpus"] = "the driver shows none, or there is no driver"
        return NodeFigures(
            cpus=psutil.cpu_count() or 1,
            cpu_percent=rates.cpu_percent,
            load_1m=os.getloadavg()[0],
            memory_bytes=memory.total,
            memory_used_bytes=memory.total - memory.available,
            disk_bytes=size,
            disk_used_bytes=used,
            disk_available_bytes=available,
            disk_read_bytes_per_s=rates.disk[0],
            disk_written_bytes_per_s=rates.disk[1],
            network_received_bytes_per_s=rates.network[0],
            network_sent_bytes_per_s=rates.network[1],
            gpus=gpus,
        )

    def _disk(self, missing: dict[str, str]) -> tuple[int | None, int | None, int | None]:
        try:
            usage = psutil.disk_usage(str(self._folder))
        except OSError as error:
            missing["disk"] = f"{self._folder}: {error.strerror}"
            return None, None, None
        return usage.total, usage.used, usage.free

    def _family(self) -> tuple[float, int, int]:
        """Processor time, memory and number of this process and its descendants."""
        cpu_s, num_bytes, number = 0.0, 0, 0
        for process in (self._own, *self._own.children(recursive=True)):
            try:
                with process.oneshot():
                    times, held = process.cpu_times(), process.memory_info().rss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            # What ended children took comes to their parent when it has waited for them.
            cpu_s += times.user + times.system + times.children_user + times.children_system
            num_bytes += held
            number += 1
        return cpu_s, num_bytes, number


class _Rates:
    """How fast counters grew between two looks; None where one of them is not known."""

    def __init__(self, last: _Counters | None, now: _Counters) -> None:
        self._last, self._now = last, now
        self._seconds = 0.0 if last is None else now.at - last.at

    @property
    def cpu_percent(self) -> float | None:
        if self._last is None or self._now.cpu_all_s <= self._last.cpu_all_s:
            return None
        busy_s = self._now.cpu_busy_s - self._last.cpu_busy_s
        return round(min(100.0, max(0.0, 100 * busy_s / (self._now.cpu_all_s - self._last.cpu_all_s))), 2)

    @property
    def own_percent(self) -> float | None:
        grown = None if self._last is None else self._now.own_cpu_s - self._last.own_cpu_s
        return None if grown is None or self._seconds <= 0 else round(100 * max(0.0, grown) / self._seconds, 2)

    @property
    def group_cpus(self) -> float | None:
        then, now = self._last.group_cpu_s if self._last else None, self._now.group_cpu_s
        return None if then is None or now is None or self._seconds <= 0 else round((now - then) / self._seconds, 3)

    @property
    def disk(self) -> _Pair:
        return self._per_s(None if self._last is None else self._last.disk, self._now.disk)

    @property
    def network(self) -> _Pair:
        return self._per_s(None if self._last is None else self._last.network, self._now.network)

    def _per_s(self, then: tuple[int, int] | None, now: tuple[int, int] | None) -> _Pair:
        if then is None or now is None or self._seconds <= 0:
            return None, None
        first, second = (round(max(0, b - a) / self._seconds, 1) for a, b in zip(then, now, strict=True))
        return first, second


def _counters(own_cpu_s: float, group_cpu_s: float | None) -> _Counters:
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    guests_s = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # in user and nice already
    all_s = sum(times) - guests_s
    disk = psutil.disk_io_counters()
    # Without the loopback, over which the parts of one machine talk to each other: nobody waits for that wire.
    wires = [counters for name, counters in psutil.net_io_counters(pernic=True).items() if name != "lo"]
    return _Counters(
        at=time.monotonic(),
        cpu_busy_s=all_s - idle_s,
        cpu_all_s=all_s,
        own_cpu_s=own_cpu_s,
        group_cpu_s=group_cpu_s,
        disk=None if disk is None else (disk.read_bytes, disk.write_bytes),
        network=(sum(wire.bytes_recv for wire in wires), sum(wire.bytes_sent for wire in wires)) if wires else None,
    )


def figures(sample: Sample) -> Mapping[str, float | None]:
    """What of a sample becomes history: numbers by name.."""
    node, own, limits = sample.node, sample.process, sample.limits
    flat = {f"node_{name}": value for name, value in node.model_dump(exclude={"gpus"}).items()}
    flat |= {"cpu_percent": own.cpu_percent, "memory_bytes": own.memory_bytes, "processes": own.processes}
    if limits is not None:
        flat |= {f"limits_{name}": value for name, value in limits.model_dump().items()}
    for gpu in node.gpus or ():
        flat |= {
            f"gpu_{gpu.id}_{name}": value
            for name, value in gpu.model_dump(exclude={"id", "name", "memory_bytes"}).items()
        }
    return flat


def _cpu_model() -> str | None:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        return None
