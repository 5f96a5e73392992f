"""Numbers of each row, spilled to disk, and the rows in which they are equal: memory does not grow with the rows."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from simorgh_shared.datasets.statistics.segments import Codes, Flags, Words

MOST_IN_MEMORY = 1 << 20
"""So many values are sorted at once, in about 40 MB."""
_CHUNK = 1 << 18


class Column:
    """A 64-bit number of each row in order; or, with `owners`, of any rows, several of one too."""

    def __init__(self, path: Path, *, owners: bool = False) -> None:
        self._path = path
        self._values = path.open("w+b")
        self._owners = path.with_suffix(".owners").open("w+b") if owners else None
        self._num_values = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete what was spilled."""
        self._values.close()
        self._path.unlink(missing_ok=True)
        if self._owners is not None:
            self._owners.close()
            self._path.with_suffix(".owners").unlink(missing_ok=True)

    def append(self, values: Words, owners: Codes | None = None) -> None:
        """Add values; `owners` says what each belongs to, where not to the next row."""
        self._values.write(values.astype(np.uint64, copy=False).tobytes())
        self._num_values += len(values)
        if self._owners is not None and owners is not None:
            self._owners.write(owners.astype(np.uint32, copy=False).tobytes())

    def equal_runs(self, ignored: Flags | None = None, most: int = MOST_IN_MEMORY) -> Iterator[Codes]:
        """Rows (or owners), ascending, of each value that two of them have; rows that are `ignored` have none."""
        num_parts = 1 << max(0, (self._num_values - 1) // most).bit_length()
        for part in range(num_parts):
            yield from _runs(*self._part(part, num_parts, ignored))

    def _part(self, part: int, num_parts: int, ignored: Flags | None) -> tuple[Words, Codes]:
        """The values whose first bits are `part`, with their rows."""
        shift, wanted = np.uint64(65 - num_parts.bit_length()), np.uint64(part)
        found: list[Words] = []
        owners: list[Codes] = []
        for first, values, owner in self._chunks():
            taken = np.ones(len(values), dtype=np.bool_) if num_parts == 1 else (values >> shift) == wanted
            if ignored is not None:
                taken &= ~ignored[first : first + len(values)]
            found.append(values[taken])
            rows = np.arange(first, first + len(values), dtype=np.uint32) if owner is None else owner
            owners.append(rows[taken])
        return (np.concatenate(found), np.concatenate(owners)) if found else (_NO_WORDS, _NO_CODES)

    def _chunks(self) -> Iterator[tuple[int, Words, Codes | None]]:
        for file in filter(None, (self._values, self._owners)):
            file.flush()
            file.seek(0)
        first = 0
        while len(values := np.fromfile(self._values, dtype=np.uint64, count=_CHUNK)):
            yield (
                first,
                values,
                (None if self._owners is None else np.fromfile(self._owners, dtype=np.uint32, count=_CHUNK)),
            )
            first += len(values)


class ByteRows:
    """So many bytes of each row in order; any rows are read again."""

    def __init__(self, path: Path, width: int) -> None:
        self._path = path
        self._width = width
        self._file = path.open("w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def append(self, rows: npt.NDArray[np.uint8]) -> None:
        """Add rows. Shape: (rows, width)."""
        self._file.write(rows.tobytes())

    def read(self, rows: Sequence[int]) -> npt.NDArray[np.uint8]:
        """These rows. Shape: (rows, width)."""
        self._file.flush()
        file = self._file.fileno()
        found = b"".join([os.pread(file, self._width, row * self._width) for row in rows])
        return np.frombuffer(found, dtype=np.uint8).reshape(len(rows), self._width)


def _runs(values: Words, owners: Codes) -> Iterator[Codes]:
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    if not len(ordered):
        return
    begins = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1], [True])))
    repeated = np.flatnonzero(np.diff(begins) > 1)
    for begin, end in zip(begins[repeated].tolist(), begins[repeated + 1].tolist(), strict=True):
        yield owners[order[begin:end]]


_NO_WORDS = np.empty(0, dtype=np.uint64)
_NO_CODES = np.empty(0, dtype=np.uint32)
