"""Owns files on their way up: read in pieces, counted as they go, described as forms."""

import io
from collections.abc import Callable
from pathlib import Path

Moved = Callable[[int], None]
"""Told of so many more bytes that went."""


class CountedFile(io.BufferedReader):
    """A file that tells how much of it was read."""

    def __init__(self, path: Path, moved: Moved) -> None:
        super().__init__(io.FileIO(path))
        self._moved = moved

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes."""
        chunk = super().read(size)
        self._moved(len(chunk))
        return chunk
