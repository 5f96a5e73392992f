"""Finds out all that is told of a dataset version: one pass over its rows, then the spilled numbers of each.

Memory does not grow with the files, but for four bytes a row while near duplicates are joined.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simorgh_shared.datasets.statistics import duplicates, leaks
from simorgh_shared.datasets.statistics.columns import ByteRows, Column
from simorgh_shared.datasets.statistics.comparing import Compared
from simorgh_shared.datasets.statistics.fingerprints import NUM_BANDS, NUM_HASHES, row_hashes, signatures
from simorgh_shared.datasets.statistics.reading import Batch, RowIndex, Source, batches
from simorgh_shared.datasets.statistics.sampling import Sample
from simorgh_shared.datasets.statistics.scripts import ForeignCodePoints, Languages
from simorgh_shared.datasets.statistics.tallies import FieldLengths, Longest, Personal
from simorgh_shared.schemas.statistics import (
    DatasetStatistics,
    FieldStatistics,
    Leakage,
    NearDuplicates,
    SplitFacts,
    Spread,
    TokenizerNote,
)

MOST_SHOWN = 50
"""Entries of a list; the count beside it is of all."""
_LONGEST_SHOWN = 10


@dataclass(frozen=True)
class Facts:
    """What is known of the version before."""

    rows: int
    bytes: int
    sha256: str
    splits: list[SplitFacts]


@dataclass(frozen=True)
class TokenCounts:
    """How many tokens the fields of a sample have, by name."""

    spreads: Mapping[str, Spread]
    note: TokenizerNote


CountTokens = Callable[[Sample, int], TokenCounts | None]
"""Given the sample and the characters of all rows."""
Progress = Callable[[float], None]
"""Told how much is done, from 0 to 1; may raise to stop."""
_SCAN_SHARE, _NEAR_SHARE = 0.7, 0.25  # of the time


def survey(
    source: Source, facts: Facts, folder: Path, count_tokens: CountTokens, progress: Progress
) -> DatasetStatistics:
    """All that is told of a version. `folder` is for what is spilled.

    Raises: InvalidInputError for a row that does not fit; whatever `progress` raises.
    """
    begun = time.monotonic()
    with ExitStack() as stack:
        index = stack.enter_context(RowIndex(source, folder))
        spill = _Spill(stack, folder, has_test=any(split == "test" for split, _ in source.files))
        tallies = _Tallies(facts.bytes)
        _scan(source, facts.bytes, (index, spill, tallies), progress)
        found = _compare(index, spill, progress)
        characters = tallies.lengths.spreads()
        tokens = count_tokens(tallies.sample, characters["row"].total) if characters else None
        progress(1.0)
        return DatasetStatistics(
            rows=facts.rows,
            bytes=facts.bytes,
            sha256=facts.sha256,
            row_schema=source.row_schema.value,
            splits=facts.splits,
            fields=[
                FieldStatistics(field=name, characters=spread, tokens=tokens.spreads.get(name) if tokens else None)
                for name, spread in characters.items()
            ],
            tokenizer=tokens.note if tokens else None,
            languages=tallies.languages.shares(),
            code_points=tallies.code_points.found(),
            longest=tallies.longest.rows(),
            personal_data=tallies.personal.data(),
            seconds=round(time.monotonic() - begun, 2),
            **found,
        )


class _Tallies:
    """What is counted in memory."""

    def __init__(self, num_bytes: int) -> None:
        self.lengths = FieldLengths()
        self.languages = Languages()
        self.code_points = ForeignCodePoints(MOST_SHOWN)
        self.longest = Longest(_LONGEST_SHOWN)
        self.personal = Personal(MOST_SHOWN)
        self.sample = Sample(num_bytes)

    def add(self, batch: Batch) -> None:
        """Count these rows."""
        for tally in (self.lengths, self.languages, self.code_points, self.longest, self.personal, self.sample):
            tally.add(batch)


class _Spill:
    """Numbers of each row on disk, by which equal and near ones are found."""

    def __init__(self, stack: ExitStack, folder: Path, *, has_test: bool) -> None:
        self.rows = stack.enter_context(Column(folder / "rows"))
        self.bands = [stack.enter_context(Column(folder / f"band-{number}")) for number in range(NUM_BANDS)]
        self.signatures = stack.enter_context(ByteRows(folder / "signatures", NUM_HASHES))
        sentences = Column(folder / "sentences", owners=True) if has_test else None
        self.sentences = stack.enter_context(sentences) if sentences is not None else None

    def add(self, batch: Batch) -> None:
        """Hash these rows."""
        compared = Compared.of(batch)
        self.rows.append(row_hashes(compared.plain_hashes, compared.parts, compared.texts_a_row))
        made = signatures(compared.folded.key, compared.parts, compared.texts_a_row)
        for number, band in enumerate(self.bands):
            band.append(made.bands[:, number])
        self.signatures.append(made.bytes)
        if self.sentences is not None:
            self.sentences.append(compared.sentence_hashes, leaks.sentence_owners(batch, compared.numbers))


def _scan(source: Source, num_bytes: int, takers: tuple[RowIndex, _Spill, _Tallies], progress: Progress) -> None:
    num_read = 0
    for batch in batches(source):
        for taker in takers:
            taker.add(batch)
        num_read += batch.num_bytes
        progress(_SCAN_SHARE * min(1.0, num_read / max(1, num_bytes)))


def _compare(index: RowIndex, spill: _Spill, progress: Progress) -> dict[str, Any]:
    def tick() -> None:
        progress(_SCAN_SHARE)

    equal, repeats = duplicates.equal_rows(spill.rows, index, MOST_SHOWN, tick)
    comparer = duplicates.Comparer(index)
    groups = duplicates.near_rows(
        spill.bands, spill.signatures, repeats, comparer, lambda done: progress(_SCAN_SHARE + _NEAR_SHARE * done)
    )
    near: NearDuplicates = duplicates.describe_near(groups, index, MOST_SHOWN)
    leakage = None
    if spill.sentences is not None:
        exact = leaks.exact_leaks(spill.sentences, index, MOST_SHOWN, tick)
        leakage = Leakage(exact=exact, near=leaks.near_leaks(groups, index, comparer, MOST_SHOWN, tick))
    return {"duplicates": equal, "near_duplicates": near, "leakage": leakage}
