"""What a process tells Prometheus about itself: which program it is, and what its children take.

The facts of the work are counted where they arise, by objects at the top of the module that owns them.
"""

import os
import shutil
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import REGISTRY, Gauge, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LOOK_S = 5.0  # a scrape comes every 15 s
__all__ = ["CONTENT_TYPE", "introduce", "render", "show_folder"]

_BUILD = Gauge(
    "simorgh_build_info", "Always 1; the labels say which program of which version this is", ["program", "version"]
)
_FOLDER_FREE = Gauge("simorgh_folder_free_bytes", "What the file system of a folder of ours still takes", ["folder"])
_FOLDER_SIZE = Gauge("simorgh_folder_size_bytes", "What that file system holds in all", ["folder"])


def introduce(program: str) -> None:
    """Say once, as the program begins, who it is."""
    # They are a series beside each counter and histogram, which no query of ours needs.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    _BUILD.labels(program, metadata.version("simorgh-shared")).set(1)
    _CHILDREN.keep_looking()


def show_folder(name: str, path: Path) -> None:
    """Tell at each scrape how much the file system of a folder still takes."""
    _FOLDER_FREE.labels(name).set_function(lambda: shutil.disk_usage(path).free)
    _FOLDER_SIZE.labels(name).set_function(lambda: shutil.disk_usage(path).total)


def render() -> bytes:
    """The answer to a scrape."""
    return generate_latest(REGISTRY)


@dataclass(frozen=True)
class Children:
    """What a process has started, and what those have, at one moment."""

    num_processes: int
    resident_bytes: int
    cpu_s: float


def look_at_children(pid: int) -> Children:
    """Look now: one pass over the processes of the machine."""
    own = psutil.Process(pid)
    ended = own.cpu_times()  # what ended children took is in it, as soon as they have been waited for
    num_processes, num_bytes, cpu_s = 0, 0, ended.children_user + ended.children_system
    for child in own.children(recursive=True):
        try:
            with child.oneshot():
                times, held = child.cpu_times(), child.memory_info().rss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        num_processes += 1
        num_bytes += held
        cpu_s += times.user + times.system + times.children_user + times.children_system
    return Children(num_processes, num_bytes, cpu_s)


class ChildrenCollector(Collector):
    """Memory and processor time of all that this process has started.

    A thread looks every few seconds. A look reads a file for each process of the machine, and gives the interpreter's
    lock away with each: in a busy server a scrape that did so took a tenth of a second.
    """

    def __init__(self) -> None:
        self._last: Children | None = None
        self._most_cpu_s = 0.0

    def keep_looking(self) -> None:
        """Begin to look; as long as the process lives."""
        threading.Thread(target=self._look, name="children", daemon=True).start()

    def describe(self) -> Iterable[Metric]:
        """Their names, without looking at a process."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """What was seen last; nothing before the first look."""
        processes, memory, cpu = self._families()
        if self._last is not None:
            processes.add_metric([], self._last.num_processes)
            memory.add_metric([], self._last.resident_bytes)
            cpu.add_metric([], self._most_cpu_s)
        return processes, memory, cpu

    def _look(self) -> None:
        while True:
            seen = look_at_children(os.getpid())
            # One that ends between two reads is missed for a moment, and a counter never falls.
            self._most_cpu_s = max(self._most_cpu_s, seen.cpu_s)
            self._last = seen
            time.sleep(_LOOK_S)

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily, CounterMetricFamily]:
        return (
            GaugeMetricFamily("simorgh_child_processes", "Processes that this one started, and theirs"),
            GaugeMetricFamily(
                "simorgh_children_resident_memory_bytes", "What they hold in memory; shared pages count in each"
            ),
            CounterMetricFamily("simorgh_children_cpu_seconds", "Processor time that they took, ended ones included"),
        )


_CHILDREN = ChildrenCollector()
REGISTRY.register(_CHILDREN)
