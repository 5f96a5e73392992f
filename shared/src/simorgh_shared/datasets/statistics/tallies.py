"""What is counted while the rows go by: the longest ones, and what belongs to persons."""

import heapq
from collections import Counter
from typing import get_args

import numpy as np

from simorgh_shared.datasets.statistics.excerpts import around, excerpt
from simorgh_shared.datasets.statistics.lengths import Lengths
from simorgh_shared.datasets.statistics.personal import LEAST_DIGITS, Found, search
from simorgh_shared.datasets.statistics.reading import FIELDS, Batch
from simorgh_shared.datasets.statistics.segments import Flags, counts_in
from simorgh_shared.schemas.statistics import LongRow, PersonalData, PersonalFound, PersonalKind, PersonalOfKind, Spread

WHOLE_ROW = "row"


class FieldLengths:
    """Characters of each field and of whole rows."""

    def __init__(self) -> None:
        self._of_field = [Lengths() for _ in FIELDS]
        self._of_rows = Lengths()

    def add(self, batch: Batch) -> None:
        """Count more rows."""
        lengths = batch.pieces.lengths
        for field in np.unique(batch.fields).tolist():
            self._of_field[field].add(lengths[batch.fields == field])
        if batch.num_rows:
            self._of_rows.add(batch.characters_a_row)

    def spreads(self) -> dict[str, Spread]:
        """How they are spread: the fields that there are, then whole rows."""
        named = {name: lengths.spread() for name, lengths in zip(FIELDS, self._of_field, strict=True)}
        named[WHOLE_ROW] = self._of_rows.spread()
        return {name: spread for name, spread in named.items() if spread is not None}


class Longest:
    """The rows with most characters."""

    def __init__(self, most_shown: int) -> None:
        self._most_shown = most_shown
        self._kept: list[tuple[int, int, LongRow]] = []

    def add(self, batch: Batch) -> None:
        """Look at more rows."""
        lengths = batch.characters_a_row
        least = self._kept[0][0] if len(self._kept) == self._most_shown else -1
        above = np.flatnonzero(lengths > least)
        for row in above[np.argsort(-lengths[above], kind="stable")][: self._most_shown].tolist():
            characters = int(lengths[row])
            shown = LongRow(
                **batch.place(row).model_dump(), excerpt=excerpt(batch.fields_of(row)), characters=characters
            )
            entry = (characters, -(batch.first_row + row), shown)
            if len(self._kept) < self._most_shown:
                heapq.heappush(self._kept, entry)
            else:
                heapq.heappushpop(self._kept, entry)

    def rows(self) -> list[LongRow]:
        """The longest first."""
        return [shown for _, _, shown in sorted(self._kept, key=lambda entry: entry[:2], reverse=True)]


class Personal:
    """What seems to belong to persons."""

    def __init__(self, most_shown: int) -> None:
        self._most_shown = most_shown
        self._counts: Counter[PersonalKind] = Counter()
        self._rows_of_kind: Counter[PersonalKind] = Counter()
        self._found: dict[PersonalKind, list[PersonalFound]] = {kind: [] for kind in get_args(PersonalKind)}
        self._num_rows = 0
        self._num_invalid = 0
        self._invalid: list[PersonalFound] = []

    def add(self, batch: Batch) -> None:
        """Search more rows: those with enough digits, or an @."""
        pieces = batch.pieces
        digits = counts_in(_is_digit(batch), pieces.lengths)
        suspects = np.flatnonzero((digits >= LEAST_DIGITS) | (counts_in(pieces.codes == ord("@"), pieces.lengths) > 0))
        if not len(suspects):
            return
        rows = np.searchsorted(np.cumsum(batch.texts_a_row), suspects, side="right")
        last_row, kinds = -1, set[PersonalKind]()
        for text, row in zip(suspects.tolist(), rows.tolist(), strict=True):
            if row != last_row:
                self._end_row(kinds)
                last_row, kinds = row, set()
            kinds |= self._search(batch, text, row)
        self._end_row(kinds)

    def _search(self, batch: Batch, number: int, row: int) -> set[PersonalKind]:
        text = batch.texts[number]
        result = search(text)
        hidden = result.hidden()

        def keep(one: Found, shown: list[PersonalFound]) -> None:
            if len(shown) < self._most_shown:
                place, field = batch.place(row).model_dump(), FIELDS[int(batch.fields[number])]
                shown.append(PersonalFound(**place, excerpt=around(text, one, hidden), field=field))

        for one in result.found:
            self._counts[one.kind] += 1
            keep(one, self._found[one.kind])
        self._num_invalid += len(result.invalid_ids)
        for one in result.invalid_ids:
            keep(one, self._invalid)
        return {one.kind for one in result.found}

    def _end_row(self, kinds: set[PersonalKind]) -> None:
        self._num_rows += bool(kinds)
        self._rows_of_kind.update(kinds)

    def data(self) -> PersonalData:
        """All kinds, also those of which there is nothing."""
        kinds = [
            PersonalOfKind(kind=kind, count=self._counts[kind], rows=self._rows_of_kind[kind], found=self._found[kind])
            for kind in get_args(PersonalKind)
        ]
        return PersonalData(
            num_rows=self._num_rows,
            kinds=kinds,
            num_invalid_national_ids=self._num_invalid,
            invalid_national_ids=self._invalid,
        )


def _is_digit(batch: Batch) -> Flags:
    codes = batch.pieces.codes
    found: Flags = codes - np.uint32(0x30) < 10  # below zero it wraps to the largest numbers
    return found | (codes - np.uint32(0x6F0) < 10) | (codes - np.uint32(0x660) < 10)
