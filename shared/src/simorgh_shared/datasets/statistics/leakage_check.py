"""Whether rows of one file share sentences with rows of another; eight bytes a test sentence stay in memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simorgh_shared.datasets.statistics.comparing import Compared
from simorgh_shared.datasets.statistics.reading import Source, batches
from simorgh_shared.datasets.statistics.segments import Ints, Words, owners_of


@dataclass(frozen=True)
class Leaked:
    """What was found."""

    num_rows: int
    """Test rows that share a sentence with a train row."""
    num_test_rows: int
    lines: list[tuple[int, int]]
    """Of the first of them their line, and the first train line with a sentence of theirs."""


def check(train: Source, test: Source, most_lines: int = 50) -> Leaked:
    """Look for sentences of the test rows among those of the train rows, whichever their field.

    Raises: InvalidInputError for a row that does not fit.
    """
    tests = list(_sentences(test))
    if not tests:
        return Leaked(0, 0, [])
    hashes, lines = (np.concatenate(parts) for parts in zip(*tests, strict=True))
    known = np.unique(hashes)
    first_train_line = np.zeros(len(known), dtype=np.int64)
    for train_hashes, train_lines in _sentences(train):
        places = np.minimum(np.searchsorted(known, train_hashes), len(known) - 1)
        is_met = (known[places] == train_hashes) & (first_train_line[places] == 0)
        met, first = np.unique(places[is_met], return_index=True)
        first_train_line[met] = train_lines[is_met][first]
    leaking = first_train_line[np.searchsorted(known, hashes)]
    test_lines, first = np.unique(lines[leaking > 0], return_index=True)
    pairs = zip(test_lines[:most_lines].tolist(), leaking[leaking > 0][first][:most_lines].tolist(), strict=True)
    return Leaked(len(test_lines), len(np.unique(lines)), list(pairs))


def _sentences(source: Source) -> Iterator[tuple[Words, Ints]]:
    """The hashes of the sentences of each batch, and the line of each."""
    for batch in batches(source):
        compared = Compared.of(batch)
        yield compared.sentence_hashes, batch.lines[owners_of(compared.texts_a_row)].astype(np.int64)
