"""The end of a worker: since when it has been told to end, and how the time that is left is shared out."""

import threading
import time

_FOR_CHILDREN = 0.7
_FOR_STORING = 0.85
_FOR_ATTEMPTS = 0.9
"""What is left then is for giving back by force what the attempts still hold."""


class Draining:
    """Begins once, from any thread or from a signal's handler."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._told = threading.Event()
        self._begun = 0.0

    def begin(self) -> bool:
        """End soon; False where that was said before."""
        if self._told.is_set():
            return False
        self._begun = time.monotonic()
        self._told.set()
        return True

    def is_set(self) -> bool:
        """Whether the worker is to end."""
        return self._told.is_set()

    @property
    def are_children_late(self) -> bool:
        """Whether a child that is still there has to be killed."""
        return self._is_over(_FOR_CHILDREN)

    @property
    def is_storing_late(self) -> bool:
        """Whether what storage has not taken yet has to be given up."""
        return self._is_over(_FOR_STORING)

    @property
    def attempts_end_in_s(self) -> float:
        """How long the attempts may still take to end by themselves. Only once it has begun."""
        return self._begun + _FOR_ATTEMPTS * self._grace_s - time.monotonic()

    @property
    def ends_in_s(self) -> float:
        """How long until the process has to be gone. Only once it has begun."""
        return self._begun + self._grace_s - time.monotonic()

    def _is_over(self, share: float) -> bool:
        return self._told.is_set() and time.monotonic() > self._begun + share * self._grace_s
