"""How many requests of a model are taken at a time: a fixed number, or as many as get their first token in time.

With a time the number follows what is measured, as congestion windows do (Jacobson, 1988): it grows while first tokens
come within half of that time, and falls when one does not. Whoever is not taken is told to come again: soon refused is
better than late answered.

Those who are refused are told to come one after the other: two hundred who all come again each second would keep the
processor from those that were taken.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from simorgh_shared.domain.errors import LimitedError

_BEGIN = 8.0
_FEWEST = 4.0
_FALL = 0.7
_MOST_KEPT = 256  # models
_RETURNS_PER_S = 10.0
_LATEST_RETURN_S = 30.0


@dataclass
class _Window:
    size: float = _BEGIN
    is_careful: bool = False
    """It has fallen once: from then on it grows by one a round, and before by one a request."""
    fell_at: float = 0.0


class Ticket:
    """A request that was taken."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.waited_s: float | None = None

    def begin(self) -> None:
        """Its engine is ready: loading does not count."""
        self.began = self.began or time.monotonic()

    def first_token(self) -> None:
        """Something has come."""
        if self.waited_s is None and self.began is not None:
            self.waited_s = time.monotonic() - self.began


class Admission:
    """The requests that are held, by model."""

    def __init__(self, most: int, first_token_s: float | None) -> None:
        self.held: Counter[str] = Counter()
        """Those that wait for their engine included."""
        self._most = most
        self._aim_s = None if first_token_s is None else first_token_s / 2
        self._windows: dict[str, _Window] = {}
        self._last_return = 0.0

    def limit(self, model: str) -> int:
        """As many are taken now."""
        if self._aim_s is None:
            return self._most
        return min(self._most, int(self._windows.get(model, _Window()).size))

    @contextlib.contextmanager
    def request(self, model: str) -> Iterator[Ticket]:
        """Hold a request until it has ended.

        Raises: LimitedError.
        """
        if self.held[model] >= self.limit(model):
            raise LimitedError("engine_busy", retry_after_s=self._return_s())
        ticket = Ticket()
        with self.in_use(model):
            try:
                yield ticket
            finally:
                self._learn(model, ticket)

    @contextlib.contextmanager
    def in_use(self, model: str) -> Iterator[None]:
        """Count a request, or who is to be treated as one: a model in use is never unloaded."""
        self.held[model] += 1
        try:
            yield
        finally:
            self.held[model] -= 1
            if not self.held[model]:
                del self.held[model]  # what clients ask for must not stay in memory

    def _return_s(self) -> int:
        """When whoever is refused now is to come again: after those before, in whole seconds."""
        now = time.monotonic()
        self._last_return = min(max(self._last_return + 1 / _RETURNS_PER_S, now + 1), now + _LATEST_RETURN_S)
        return round(self._last_return - now)

    def _learn(self, model: str, ticket: Ticket) -> None:
        """From when its first token came; one that left without any tells only that it waited too long."""
        if self._aim_s is None or ticket.began is None:
            return
        window = self._windows.setdefault(model, _Window())
        if len(self._windows) > _MOST_KEPT:
            del self._windows[next(iter(self._windows))]
        waited_s = time.monotonic() - ticket.began if ticket.waited_s is None else ticket.waited_s
        if waited_s > self._aim_s:
            if ticket.began >= window.fell_at:  # those that were taken before it fell tell nothing new
                window.size = max(_FEWEST, window.size * _FALL)
                window.is_careful, window.fell_at = True, time.monotonic()
        elif ticket.waited_s is not None and self.held[model] >= window.size - 1:
            window.size = min(self._most, window.size + (1 / window.size if window.is_careful else 1))
