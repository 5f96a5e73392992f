"""How far the work on files is, told at most once a second."""

import time
from typing import BinaryIO

from simorgh_shared.child.events import EventLog

_EVERY_S = 1.0


class Progress:
    """Counts bytes over all files of a job."""

    def __init__(self, events: EventLog, phase: str, total_bytes: int) -> None:
        self._events = events
        self._phase = phase
        self._total_bytes = total_bytes
        self._bytes = 0.0
        self._told_at = 0.0

    def add(self, num_bytes: float) -> None:
        """So many more were dealt with."""
        self._bytes += num_bytes
        if time.monotonic() - self._told_at >= _EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Say it now."""
        self._told_at = time.monotonic()
        self._events.emit("progress", phase=self._phase, bytes=round(self._bytes), total_bytes=self._total_bytes)

    def counted(self, stream: BinaryIO) -> "CountedStream":
        """A stream whose bytes are counted as they are read."""
        return CountedStream(stream, self)


class CountedStream:
    """As much of a binary stream as the checks need."""

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        chunk = self._stream.read(size)
        self._progress.add(len(chunk))
        return chunk
