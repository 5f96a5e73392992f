"""Reads binary headers of unknown origin: every length is checked against what is left before it is believed."""

import struct
from pathlib import Path
from typing import BinaryIO


class DamagedError(Exception):
    """The file is not what it says it is. The text tells why, as the end of a sentence."""


class BoundedFile:
    """A file of which no more is read than there is."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size

    @property
    def offset(self) -> int:
        """Where the next byte is read."""
        return self._file.tell()

    @property
    def left(self) -> int:
        """Bytes from here to the end."""
        return self.size - self.offset

    def take(self, count: int, what: str, most: int | None = None) -> bytes:
        """The next bytes.

        Raises: DamagedError beyond the end, or beyond `most`.
        """
        if most is not None and count > most:
            raise DamagedError(f"{what} has {count} bytes, more than {most}")
        if count > self.left:
            raise DamagedError(f"it ends inside {what}")
        return self._file.read(count)

    def skip(self, count: int, what: str) -> None:
        """Leave bytes out.

        Raises: DamagedError beyond the end.
        """
        self.go_to(self.offset + count, what)

    def go_to(self, offset: int, what: str) -> None:
        """Read on elsewhere.

        Raises: DamagedError beyond the end.
        """
        if not 0 <= offset <= self.size:
            raise DamagedError(f"{what} lies outside the file")
        self._file.seek(offset)

    def number(self, code: str, what: str) -> int:
        """A little-endian whole number by its letter in `struct`."""
        found: int = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}"), what))[0]
        return found


def size_of(path: Path) -> int:
    """The bytes of a file."""
    return path.stat().st_size


def num_elements(shape: list[int]) -> int:
    """How many numbers a tensor of this shape holds."""
    product = 1
    for length in shape:
        product *= length
    return product
