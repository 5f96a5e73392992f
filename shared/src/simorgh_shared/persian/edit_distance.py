"""An alignment of two sequences with the least edits; knows nothing of language.

Source: Myers, A fast bit-vector algorithm for approximate string matching (1999), in the form of Hyyrö (2003). A whole
column of the distance matrix is one Python integer, so that a step costs a few operations on as many bits as the
reference is long: 60,000 characters against 60,000 take seconds where cell by cell takes an hour.
"""

from collections.abc import Hashable, Iterator, Sequence
from enum import StrEnum
from math import isqrt
from typing import NamedTuple

_FEW = 4


class Edit(StrEnum):
    """What an item of the alignment is."""

    EQUAL = "equal"
    SUBSTITUTION = "substitution"
    DELETION = "deletion"
    """Stands in the reference only."""
    INSERTION = "insertion"
    """Stands in the hypothesis only."""


class Pairing(NamedTuple):
    """One step of an alignment; the place that an edit does not use is where the next item would stand."""

    edit: Edit
    reference: int
    hypothesis: int


class _Column(NamedTuple):
    """By row, where a cell is one more or one less than a neighbour."""

    rises: int
    """Than the cell above."""
    falls: int
    """Likewise."""
    rises_across: int
    """Than the cell in the column before."""


def align(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> list[Pairing]:
    """An alignment with the least edits.

    Of several, from the end on, the one that deletes or inserts before it substitutes: more words meet themselves.
    Memory grows with the square root of the hypothesis times the reference's bits: columns are kept at intervals and
    those between computed again.
    """
    start, ends = _shared_ends(reference, hypothesis)
    rows, columns = reference[start : len(reference) - ends], hypothesis[start : len(hypothesis) - ends]
    middle = [
        Pairing(edit, start + row, start + column) for edit, row, column in reversed(list(_steps_back(rows, columns)))
    ]
    tail = zip(
        range(len(reference) - ends, len(reference)), range(len(hypothesis) - ends, len(hypothesis)), strict=True
    )
    return [
        *(Pairing(Edit.EQUAL, place, place) for place in range(start)),
        *middle,
        *(Pairing(Edit.EQUAL, row, column) for row, column in tail),
    ]


def _shared_ends(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> tuple[int, int]:
    shorter = min(len(reference), len(hypothesis))
    start = 0
    while start < shorter and reference[start] == hypothesis[start]:
        start += 1
    ends = 0
    while ends < shorter - start and reference[-1 - ends] == hypothesis[-1 - ends]:
        ends += 1
    return start, ends


class _Rows:
    """For each item the rows where it stands, as bits; those of rare items are made when asked for, to save memory."""

    def __init__(self, rows: Sequence[Hashable]) -> None:
        places: dict[Hashable, list[int]] = {}
        for row, item in enumerate(rows):
            places.setdefault(item, []).append(row)
        self._few = {item: where for item, where in places.items() if len(where) <= _FEW}
        self._many = {item: _bits(where, len(rows)) for item, where in places.items() if len(where) > _FEW}

    def of(self, item: Hashable) -> int:
        """Bits of the rows that hold this item."""
        many = self._many.get(item)
        return sum(1 << row for row in self._few.get(item, ())) if many is None else many


def _bits(places: list[int], num_bits: int) -> int:
    """Through bytes: setting bit after bit in an integer takes quadratic time."""
    raw = bytearray(num_bits // 8 + 1)
    for place in places:
        raw[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(raw, "little")


def _first_column(num_rows: int) -> _Column:
    return _Column(rises=(1 << num_rows) - 1, falls=0, rises_across=0)


def _next_column(before: _Column, equal: int, every: int) -> _Column:
    """`every` has a bit for each row. What passes beyond it never comes back, so it is cut only where it would grow."""
    rises, falls = before.rises, before.falls
    diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & every
    rises_across = falls | (every & ~(diagonal | rises))
    falls_across = diagonal & rises
    shifted = ((rises_across << 1) | 1) & every
    return _Column(
        rises=(falls_across << 1) | (every ^ (diagonal | shifted)),
        falls=shifted & diagonal,
        rises_across=rises_across,
    )


def _steps_back(rows: Sequence[Hashable], columns: Sequence[Hashable]) -> Iterator[Pairing]:
    """From the end of both to their beginning."""
    row, column = len(rows), len(columns)
    for first, block in _blocks_back(rows, columns):
        while row and column > first:
            edit = _edit(block, column - first, row, is_equal=rows[row - 1] == columns[column - 1])
            row -= edit is not Edit.INSERTION
            column -= edit is not Edit.DELETION
            yield Pairing(edit, row, column)
    while row:
        row -= 1
        yield Pairing(Edit.DELETION, row, column)
    while column:
        column -= 1
        yield Pairing(Edit.INSERTION, row, column)


def _blocks_back(rows: Sequence[Hashable], columns: Sequence[Hashable]) -> Iterator[tuple[int, list[_Column]]]:
    """Blocks of columns from the last to the first, each with the number of the column that it begins with."""
    if not rows or not columns:
        return
    where = _Rows(rows)
    every = (1 << len(rows)) - 1
    length = isqrt(len(columns)) + 1
    kept = []
    column = _first_column(len(rows))
    for number, item in enumerate(columns):
        if number % length == 0:
            kept.append(column)
        column = _next_column(column, where.of(item), every)
    for index in range(len(kept) - 1, -1, -1):
        first = index * length
        block = [kept[index]]
        for item in columns[first : first + length]:
            block.append(_next_column(block[-1], where.of(item), every))
        yield first, block


def _edit(block: list[_Column], index: int, row: int, *, is_equal: bool) -> Edit:
    """A step back from the cell in this row and column on a shortest way."""
    if is_equal:
        return Edit.EQUAL
    if block[index].rises >> (row - 1) & 1:
        return Edit.DELETION
    return Edit.INSERTION if block[index].rises_across >> (row - 1) & 1 else Edit.SUBSTITUTION
