"""The models that an engine child holds: the least recently used ones go when memory runs short, never one in use."""

import ctypes
import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar


class Loaded(Protocol):
    """A model in memory."""

    @property
    def memory_bytes(self) -> int:
        """What it takes, about."""


M = TypeVar("M", bound=Loaded)


class Models:
    """Loaded models by key, within a budget. One that alone is larger than the budget is used, and kept alone."""

    def __init__(self, budget_bytes: int, tell: Callable[[int, int], None]) -> None:
        """`tell` is called with the number and the bytes of the models whenever they change."""
        self._budget_bytes = budget_bytes
        self._tell = tell
        self._held: OrderedDict[str, Loaded] = OrderedDict()
        self._in_use: set[str] = set()

    @property
    def num_bytes(self) -> int:
        """What the loaded models take."""
        return sum(model.memory_bytes for model in self._held.values())

    @property
    def keys(self) -> list[str]:
        """The loaded ones, the least recently used first."""
        return list(self._held)

    @contextmanager
    def lent(self, key: str, expected_bytes: int, load: Callable[[], M]) -> Iterator[M]:
        """The model of this key, loaded where it is not; room is made for `expected_bytes` first."""
        if key not in self._held:
            self._make_room(expected_bytes)
            self._held[key] = load()
            self._tell(len(self._held), self.num_bytes)
        self._held.move_to_end(key)
        self._in_use.add(key)
        try:
            self._make_room(0)  # it may have become larger than its files
            yield self._held[key]  # type: ignore[misc]  # a key names a model of one type
        finally:
            self._in_use.discard(key)

    def _make_room(self, wanted_bytes: int) -> None:
        dropped = False
        for key in self.keys:
            if self.num_bytes + wanted_bytes <= self._budget_bytes:
                break
            if key not in self._in_use:
                del self._held[key]
                dropped = True
        if dropped:
            give_memory_back()
            self._tell(len(self._held), self.num_bytes)


def give_memory_back() -> None:
    """Return what was freed to the system: glibc keeps it otherwise."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
