"""Groups of rows that say the same: equal ones by their hashes, near ones by MinHash and then by comparing them."""

import heapq
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simorgh_shared.datasets.statistics.columns import ByteRows, Column
from simorgh_shared.datasets.statistics.excerpts import excerpt
from simorgh_shared.datasets.statistics.fingerprints import NUM_HASHES
from simorgh_shared.datasets.statistics.reading import RowIndex
from simorgh_shared.datasets.statistics.segments import Codes, Flags, Ints
from simorgh_shared.datasets.statistics.similarity import THRESHOLD, Shingles, shingles_of, similarity
from simorgh_shared.schemas.statistics import DuplicateGroup, Duplicates, NearDuplicates

_PLACES_SHOWN = 20
_EXCERPTS_SHOWN = 3
_MOST_PAIRED = 128
_MOST_LEADERS = 64
_LEAST_EQUAL = round(0.54 * NUM_HASHES)
"""Bytes of two signatures. Rows of similarity 0.75 have as many in 99.9 of 100 cases, those of 0.4 in 3."""
_MOST_IN_BUCKET = 20_000
_ROWS_KEPT = 2_000  # trigrams of a long row are some 100 kB
_REFUSED_KEPT = 200_000
_CHUNK = 1 << 18
_TRIGRAMS_KEPT = 2_000_000  # about 150 MB at most, where all are different
Tick = Callable[[], None]
"""Called between steps; may raise to stop."""


class Comparer:
    """Compares rows by what they say, and remembers the rows that it saw last."""

    def __init__(self, index: RowIndex) -> None:
        self._index = index
        self._kept: OrderedDict[int, Shingles] = OrderedDict()
        self._num_trigrams = 0

    def similarity(self, one: int, other: int) -> float:
        """From 0 to 1."""
        return similarity(self._shingles(one), self._shingles(other))

    def _shingles(self, row: int) -> Shingles:
        known = self._kept.get(row)
        if known is not None:
            self._kept.move_to_end(row)
            return known
        made = shingles_of(self._index.read(row))
        self._kept[row] = made
        self._num_trigrams += _size(made)
        while len(self._kept) > 2 and (len(self._kept) > _ROWS_KEPT or self._num_trigrams > _TRIGRAMS_KEPT):
            self._num_trigrams -= _size(self._kept.popitem(last=False)[1])
        return made


def _size(shingles: Shingles) -> int:
    return sum(map(len, shingles))


def equal_rows(hashes: Column, index: RowIndex, most_shown: int, tick: Tick) -> tuple[Duplicates, Flags]:
    """Groups of equal rows, and which rows are not the first of theirs."""
    repeats = np.zeros(index.num_rows, dtype=np.bool_)
    num_groups, largest = 0, list[tuple[int, int, Codes]]()
    for rows in hashes.equal_runs():
        repeats[rows[1:]] = True
        num_groups += 1
        if num_groups % 10_000 == 0:
            tick()
        entry = (len(rows), -int(rows[0]), rows[:_PLACES_SHOWN].copy())
        if len(largest) < most_shown:
            heapq.heappush(largest, entry)
        elif entry[:2] > largest[0][:2]:
            heapq.heapreplace(largest, entry)
    num_rows = int(repeats.sum())
    groups = [
        _group(index, count, rows.tolist(), 1.0, is_near=False)
        for count, _, rows in sorted(largest, key=lambda one: one[:2], reverse=True)
    ]
    share = round(num_rows / max(1, index.num_rows), 4)
    return Duplicates(num_groups=num_groups, num_rows=num_rows, share=share, groups=groups), repeats


@dataclass
class NearGroups:
    """Rows joined to groups by pairs that were compared and found alike."""

    parents: "array[int]"
    similarities: dict[int, float]
    """By the group's first row: the least similarity by which a row came in."""
    is_complete: bool = True

    @classmethod
    def of(cls, num_rows: int) -> "NearGroups":
        """Each row by itself."""
        return cls(array("I", range(num_rows)), {})

    def first_of(self, row: int) -> int:
        """The first row of the group that this one is in."""
        parents = self.parents
        while parents[row] != row:
            parents[row] = row = parents[parents[row]]
        return row

    def join(self, one: int, other: int, alike: float) -> None:
        """These two are one group."""
        first, second = sorted((self.first_of(one), self.first_of(other)))
        self.parents[second] = first
        least = min(alike, self.similarities.pop(second, 1.0), self.similarities.get(first, 1.0))
        self.similarities[first] = least

    def members(self) -> tuple[Ints, Ints]:
        """Rows that are not the first of their group, ascending, and the first of each one's."""
        parents = np.frombuffer(self.parents, dtype=np.uint32)
        found = [np.empty(0, dtype=np.int64)]
        for begin in range(0, len(parents), _CHUNK):
            chunk = parents[begin : begin + _CHUNK]
            found.append(begin + np.flatnonzero(chunk != np.arange(begin, begin + len(chunk))))
        rows = np.concatenate(found)
        firsts = np.fromiter(map(self.first_of, rows.tolist()), dtype=np.int64, count=len(rows))
        return rows, firsts


def near_rows(
    bands: Sequence[Column],
    signatures: ByteRows,
    repeats: Flags,
    comparer: Comparer,
    progress: Callable[[float], None],
) -> NearGroups:
    """Compare the rows that meet in a band. Repeats of an equal row are left to it."""
    groups = NearGroups.of(len(repeats))
    refused: OrderedDict[tuple[int, int], None] = OrderedDict()
    for num_done, band in enumerate(bands):
        for number, run in enumerate(band.equal_runs(repeats)):
            if number % 256 == 0:
                progress(num_done / len(bands))
            groups.is_complete &= len(run) <= _MOST_IN_BUCKET
            _Bucket(run[:_MOST_IN_BUCKET].tolist(), signatures, groups, comparer, refused).join()
    return groups


@dataclass(frozen=True)
class _Bucket:
    """Rows that are equal in a band: alike, or not."""

    rows: list[int]
    signatures: ByteRows
    groups: NearGroups
    comparer: Comparer
    refused: "OrderedDict[tuple[int, int], None]"

    def join(self) -> None:
        """Compare the pairs whose signatures promise something; of a large bucket each row with a few leaders."""
        signatures = self.signatures.read(self.rows)
        if len(self.rows) > _MOST_PAIRED:
            self._join_to_leaders(signatures)
            return
        equal = (signatures[:, None] == signatures[None]).sum(axis=2, dtype=np.uint8)
        for one, other in np.argwhere(np.triu(equal >= _LEAST_EQUAL, 1)).tolist():
            self._joins(self.rows[one], self.rows[other])

    def _join_to_leaders(self, signatures: npt.NDArray[np.uint8]) -> None:
        """The first row leads, those that are alike go; then the first of the others. Some m comparisons for m rows."""
        left = np.arange(len(self.rows))
        for _ in range(_MOST_LEADERS):
            leader, left = int(left[0]), left[1:]
            equal = (signatures[left] == signatures[leader]).sum(axis=1, dtype=np.uint8)
            alike = [self._joins(self.rows[leader], self.rows[place]) for place in left[equal >= _LEAST_EQUAL].tolist()]
            joined = equal >= _LEAST_EQUAL
            joined[joined] = alike
            left = left[~joined]
            if len(left) < 2:
                return
        self.groups.is_complete = False

    def _joins(self, leader: int, row: int) -> bool:
        if self.groups.first_of(leader) == self.groups.first_of(row):
            return True
        if (leader, row) in self.refused:
            return False
        alike = self.comparer.similarity(leader, row)
        if alike >= THRESHOLD:
            self.groups.join(leader, row, alike)
            return True
        self.refused[leader, row] = None
        if len(self.refused) > _REFUSED_KEPT:
            self.refused.popitem(last=False)
        return False


def describe_near(groups: NearGroups, index: RowIndex, most_shown: int) -> NearDuplicates:
    """The groups for people, the largest first."""
    rows, firsts = groups.members()
    order = np.argsort(firsts, kind="stable")
    unique, begins, counts = np.unique(firsts[order], return_index=True, return_counts=True)
    largest = np.lexsort((unique, -counts))[:most_shown]
    shown = []
    for number in largest.tolist():
        first, begin, count = int(unique[number]), int(begins[number]), int(counts[number])
        members = [first, *rows[order[begin : begin + min(count, _PLACES_SHOWN - 1)]].tolist()]
        shown.append(_group(index, count + 1, members, groups.similarities[first], is_near=True))
    return NearDuplicates(
        num_groups=len(unique),
        num_rows=len(rows),
        share=round(len(rows) / max(1, index.num_rows), 4),
        groups=shown,
        threshold=THRESHOLD,
        is_complete=groups.is_complete,
    )


def _group(index: RowIndex, num_rows: int, rows: Sequence[int], alike: float, *, is_near: bool) -> DuplicateGroup:
    differing = rows[: _EXCERPTS_SHOWN if is_near else 1]
    return DuplicateGroup(
        num_rows=num_rows,
        similarity=round(alike, 3),
        places=[index.place(row) for row in rows],
        excerpts=[excerpt(index.read(row)) for row in differing],
    )


def group_members(groups: NearGroups) -> Iterator[list[int]]:
    """Each group's rows, ascending."""
    rows, firsts = groups.members()
    order = np.argsort(firsts, kind="stable")
    unique, begins, counts = np.unique(firsts[order], return_index=True, return_counts=True)
    for first, begin, count in zip(unique.tolist(), begins.tolist(), counts.tolist(), strict=True):
        yield [first, *rows[order[begin : begin + count]].tolist()]
