"""What a worker has to give: slots by lane, and the devices of this machine that no attempt holds."""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import pynvml

from simorgh_shared.domain.jobs import Lane

Slot = tuple[Lane, ...]
"""A slot is known by the lanes that it serves."""
_ANY: Slot = (Lane.LONG, Lane.SHORT)
_SHORT_ONLY: Slot = (Lane.SHORT,)


class Slots:
    """A worker's slots. Some may take short work only, so that long work never holds up all of them."""

    def __init__(self, num_slots: int, num_short_only: int = 0) -> None:
        if not 0 <= num_short_only < num_slots:
            raise ValueError(f"{num_short_only} of {num_slots} slots for short work alone leave none for long work")
        self.num_slots = num_slots
        self._free = {_ANY: num_slots - num_short_only, _SHORT_ONLY: num_short_only}
        self._changed = threading.Condition()

    def take(self) -> Slot | None:
        """A free slot, one that serves all lanes first; None where all are taken."""
        with self._changed:
            for lanes, num_free in self._free.items():
                if num_free:
                    self._free[lanes] -= 1
                    return lanes
        return None

    def give_back(self, slot: Slot) -> None:
        """The slot is free again."""
        with self._changed:
            self._free[slot] += 1
            self._changed.notify_all()

    @property
    def num_free(self) -> int:
        """How many are free now."""
        return sum(self._free.values())

    def wait_until_all_free(self) -> None:
        """Wait for the work that holds slots. Nobody may take one meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self.num_free == self.num_slots)


@dataclass(frozen=True)
class Device:
    """A GPU by the id that CUDA_VISIBLE_DEVICES takes."""

    id: str
    name: str
    memory_bytes: int

    def as_json(self) -> dict[str, str | int]:
        """As it stands in the row of its worker."""
        return asdict(self)


class Devices:
    """The devices of a worker, each held by at most one attempt."""

    def __init__(self, devices: Sequence[Device] = ()) -> None:
        self.all = tuple(devices)
        self._free = [device.id for device in devices]
        self._claiming = threading.Lock()

    @contextlib.contextmanager
    def offered(self) -> Iterator[list[str]]:
        """The free ones, while the caller claims a job with them; what it takes it removes from the list.

        One claim at a time offers devices: two would offer the same ones. A worker without devices waits for nobody.
        """
        if not self.all:
            yield []
            return
        with self._claiming:
            yield self._free

    def give_back(self, devices: Sequence[str]) -> None:
        """An attempt that held these has ended, and its processes with it."""
        with self._claiming:
            self._free += devices


def detect_devices(environment: Mapping[str, str]) -> list[Device]:
    """The GPUs that this process may use: NVML's, less those that CUDA_VISIBLE_DEVICES hides."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []  # no driver, so no GPU
    try:
        found = [_describe(index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    named = [name.strip() for name in visible.split(",") if name.strip()]
    chosen = [[d for n, d in enumerate(found) if name == str(n) or d.id.startswith(name)] for name in named]
    return [matches[0] for matches in chosen if matches]


def _describe(index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return Device(
        id=pynvml.nvmlDeviceGetUUID(handle),
        name=pynvml.nvmlDeviceGetName(handle),
        memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
    )
