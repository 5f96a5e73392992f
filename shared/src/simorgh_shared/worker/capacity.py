"""What a worker has to give: slots by lane, and the devices of this machine that no attempt holds."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import pynvml

from simorgh_shared.domain.jobs import Lane

Slot = tuple[Lane, ...]
"""A slot is known by the lanes that it serves."""


class Slots:
    """A worker's slots, by the lanes that they serve: so that long work never holds up all of them."""

    def __init__(self, num_by_lanes: Mapping[Slot, int]) -> None:
        """The kinds of slots are tried in their order: those that serve most lanes come first."""
        if any(number < 0 for number in num_by_lanes.values()):
            raise ValueError(f"no kind of slot can have fewer than none: {dict(num_by_lanes)}")
        self.num_slots = sum(num_by_lanes.values())
        if self.num_slots == 0:
            raise ValueError("a worker needs at least one slot")
        self._free = {lanes: number for lanes, number in num_by_lanes.items() if number}
        self.kinds = tuple(self._free)
        self._changed = threading.Condition()
        self._used_at = time.monotonic()
        self._is_closed = False

    @property
    def lanes(self) -> Sequence[Lane]:
        """The lanes that any of them serves."""
        return sorted({lane for lanes in self.kinds for lane in lanes})

    def take(self, lanes: Slot) -> bool:
        """Take a slot of this kind, if one is free."""
        with self._changed:
            if self._is_closed or not self._free[lanes]:
                return False
            self._free[lanes] -= 1
            return True

    def give_back(self, slot: Slot, *, was_used: bool = True) -> None:
        """The slot is free again, after a job or a look that found none."""
        with self._changed:
            self._free[slot] += 1
            if was_used:
                self._used_at = time.monotonic()
            self._changed.notify_all()

    @property
    def num_free(self) -> int:
        """How many are free now."""
        return sum(self._free.values())

    def close_if_unused_since(self, moment: float) -> bool:
        """Give no slot out any more, if none is taken and none had a job after this moment (of the monotonic clock).

        Taking a slot comes before claiming a job for it: whoever is in the midst of that keeps all open.
        """
        with self._changed:
            if self._used_at > moment or self.num_free < self.num_slots:
                return False
            self._is_closed = True
            return True

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
