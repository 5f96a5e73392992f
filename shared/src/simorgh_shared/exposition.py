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
from prometheus_client import PROCESS_COLLECTOR, REGISTRY, Gauge, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LOOK_S = 5.0  # a scrape comes every 15 s
__all__ = ["CONTENT_TYPE", "introduce", "render", "show_folder"]

_BUILD = Gauge(
    "simorgh_build_info", "Always 1; the labels say which program of which version this is", ["program", "version"]
)


def introduce(program: str) -> None:
    """Say once, as the program begins, who it is."""
    # They are a series beside each counter and histogram, which no query of ours needs.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    _BUILD.labels(program, metadata.version("simorgh-shared")).set(1)
    _SYSTEM.keep_looking()


def show_folder(name: str, path: Path) -> None:
    """Tell from now on how much the file system of a folder still takes."""
    _SYSTEM.show_folder(name, path)


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


class SystemCollector(Collector):
    """What the kernel knows: of this process, of all that it has started, of the folders that it fills.

    A thread looks every few seconds. A look reads files, some hundred on a machine with as many processes, and gives
    the interpreter's lock away with each: in a busy gateway a scrape that did so took a tenth of a second.
    """

    def __init__(self) -> None:
        self._of_process: list[Metric] = []
        self._children: Children | None = None
        self._folders: dict[str, tuple[Path, int, int]] = {}
        self._most_cpu_s = 0.0
        self._is_looking = False

    def keep_looking(self) -> None:
        """Begin to look; as long as the process lives."""
        if not self._is_looking:
            self._is_looking = True
            REGISTRY.unregister(PROCESS_COLLECTOR)  # it is asked by us from now on
            threading.Thread(target=self._look_again_and_again, name="system-figures", daemon=True).start()

    def show_folder(self, name: str, path: Path) -> None:
        """Show its space from now on."""
        self._folders[name] = (path, *_space(path))

    def describe(self) -> Iterable[Metric]:
        """The names, without looking at anything."""
        return self._families().values()

    def collect(self) -> Iterable[Metric]:
        """What was seen last; nothing before the first look."""
        families = self._families()
        if self._children is not None:
            families["processes"].add_metric([], self._children.num_processes)
            families["memory"].add_metric([], self._children.resident_bytes)
            families["cpu"].add_metric([], self._most_cpu_s)
        for name, (_, free, size) in list(self._folders.items()):
            families["free"].add_metric([name], free)
            families["size"].add_metric([name], size)
        return (*families.values(), *self._of_process)

    def look(self) -> None:
        """Look once."""
        self._of_process = list(PROCESS_COLLECTOR.collect())
        children = look_at_children(os.getpid())
        # One that ends between two reads is missed for a moment, and a counter never falls.
        self._most_cpu_s = max(self._most_cpu_s, children.cpu_s)
        self._children = children
        for name, (path, *_) in list(self._folders.items()):
            self.show_folder(name, path)

    def _look_again_and_again(self) -> None:
        while True:
            self.look()
            time.sleep(_LOOK_S)

    def _families(self) -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
        return {
            "processes": GaugeMetricFamily("simorgh_child_processes", "Processes that this one started, and theirs"),
            "memory": GaugeMetricFamily(
                "simorgh_children_resident_memory_bytes", "What they hold in memory; shared pages count in each"
            ),
            "cpu": CounterMetricFamily(
                "simorgh_children_cpu_seconds", "Processor time that they took, ended ones included"
            ),
            "free": GaugeMetricFamily(
                "simorgh_folder_free_bytes", "What the file system of a folder of ours still takes", labels=["folder"]
            ),
            "size": GaugeMetricFamily(
                "simorgh_folder_size_bytes", "What that file system holds in all", labels=["folder"]
            ),
        }


def _space(path: Path) -> tuple[int, int]:
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return 0, 0  # the folder is gone
    return usage.free, usage.total


_SYSTEM = SystemCollector()
REGISTRY.register(_SYSTEM)
