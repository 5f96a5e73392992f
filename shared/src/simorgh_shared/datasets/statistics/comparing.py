"""What of a batch is compared with other rows, and by which hashes."""

from dataclasses import dataclass

import numpy as np

from simorgh_shared.datasets.statistics.fingerprints import text_hashes
from simorgh_shared.datasets.statistics.folding import Folded, Pieces, fold
from simorgh_shared.datasets.statistics.reading import NOT_COMPARED, PART_OF_FIELD, Batch
from simorgh_shared.datasets.statistics.segments import Ints, Words, counts_in, owners_of


@dataclass(frozen=True)
class Compared:
    """The texts of a batch that are compared: not what a model is told (system) or given (tool)."""

    numbers: Ints
    """Of each its place among the batch's texts."""
    parts: Ints
    texts_a_row: Ints
    folded: Folded
    plain_hashes: Words
    """Of equal texts equal ones."""

    @classmethod
    def of(cls, batch: Batch) -> "Compared":
        """Fold and hash what is compared."""
        parts = PART_OF_FIELD[batch.fields]
        is_compared = parts != NOT_COMPARED
        numbers = np.flatnonzero(is_compared)
        folded = fold(batch.texts, batch.pieces)
        if len(numbers) < len(parts):
            folded = Folded(_only(folded.plain, numbers), _only(folded.key, numbers))
        texts_a_row = counts_in(is_compared, batch.texts_a_row)
        return cls(numbers, parts[numbers], texts_a_row, folded, text_hashes(folded.plain))

    @property
    def sentence_hashes(self) -> Words:
        """Of texts with the same letters and digits equal ones; of a text without any that of the text itself."""
        without_letters = self.folded.key.lengths == 0
        return np.where(without_letters, self.plain_hashes, text_hashes(self.folded.key))


def _only(pieces: Pieces, chosen: Ints) -> Pieces:
    wanted = np.zeros(len(pieces.lengths), dtype=np.bool_)
    wanted[chosen] = True
    return Pieces(pieces.codes[wanted[owners_of(pieces.lengths)]], pieces.lengths[chosen])
