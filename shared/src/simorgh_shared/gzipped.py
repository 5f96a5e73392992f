"""Gzip as it lies in storage: written quickly, read in constant memory, never believed."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip, isal_zlib

GZIP_SUFFIX = ".gz"
_LEVEL = 1  # 0.17 s of processor time for 100 MB of Persian rows, to a quarter; zlib takes ten times that
_WITH_HEADER = 31  # zlib's way to say: gzip, the largest window
_CHUNK_BYTES = 1 << 16  # who wants the first rows of a file unpacks no more
_DAMAGED = cast(type[Exception], isal_zlib.IsalError)  # its stubs take the class for one of its exceptions
_PACKED_BYTES = 1 << 20
_MAX_WAITING = 4


class GunzipError(Exception):
    """What should be the gzip of some bytes is not."""


class GzipWriter:
    """Writes the gzip of what it is given from a thread of its own,.

    What it may hold unwritten is bounded: whoever is quicker waits. Ends with `close`.
    """

    def __init__(self, path: Path) -> None:
        """Raises: OSError."""
        self._file = path.open("wb")
        self._waiting: queue.Queue[list[bytes] | None] = queue.Queue(_MAX_WAITING)
        self._gathered: list[bytes] = []
        self._num_gathered = 0
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._pack, name="gzip", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Take bytes.

        Raises: OSError when those before could not be written.
        """
        if self._error is not None:
            raise self._error
        self._gathered.append(data)
        self._num_gathered += len(data)
        if self._num_gathered >= _PACKED_BYTES:
            self._hand_over()

    def close(self) -> None:
        """Write what is left.

        Raises: OSError when something could not be written.
        """
        self._hand_over()
        self._waiting.put(None)
        self._thread.join()
        self._file.close()
        if self._error is not None:
            raise self._error

    def _hand_over(self) -> None:
        """Much at a time: for each call of its own the thread waits until this one lets go of the interpreter."""
        gathered, self._gathered, self._num_gathered = self._gathered, [], 0
        self._waiting.put(gathered)

    def _pack(self) -> None:
        packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _WITH_HEADER)
        try:
            while (gathered := self._waiting.get()) is not None:
                self._file.write(packer.compress(b"".join(gathered)))
            self._file.write(packer.flush())
        except OSError as error:
            self._error = error
            while self._waiting.get() is not None:  # nobody waits for a thread that has ended
                pass


def read_plain(path: Path) -> BinaryIO:
    """A file opened to read the bytes; of one whose name ends in `.gz`, those that it is the gzip of."""
    file: BinaryIO = igzip.open(path, "rb") if path.suffix == GZIP_SUFFIX else path.open("rb")
    return file


def gunzipped(chunks: Iterator[bytes], num_bytes: int) -> Iterator[bytes]:
    """The bytes of a gzip, of which there must be so many, in chunks of at most 64 KiB.

    Raises: GunzipError when it is damaged, cut off, or holds more or less.
    """
    reader = isal_zlib.decompressobj(wbits=_WITH_HEADER)
    num_read = 0
    for chunk in chunks:
        waiting = chunk
        while waiting and not reader.eof:
            try:
                data = reader.decompress(waiting, _CHUNK_BYTES)
            except _DAMAGED as error:
                raise GunzipError(str(error)) from error
            waiting = reader.unconsumed_tail
            num_read += len(data)
            if num_read > num_bytes:
                raise GunzipError(f"it holds more than {num_bytes} bytes")
            if data:
                yield data
    if not reader.eof or num_read != num_bytes:
        raise GunzipError(f"it holds {num_read} of {num_bytes} bytes")


def clipped(chunks: Iterator[bytes], start: int, length: int | None) -> Iterator[bytes]:
    """The bytes from `start` on, `length` of them; no chunk is asked for that is not needed."""
    end = None if length is None else start + length
    offset = 0
    for chunk in chunks:
        first, last = max(0, start - offset), len(chunk) if end is None else end - offset
        if piece := chunk[first:last]:
            yield piece
        offset += len(chunk)
        if end is not None and offset >= end:
            return
