"""Causal pretraining: every character of a row is predicted, whoever says it.

The held-out loss per character divides by the characters of all segments and one end symbol each. A character model
that is compared with it pays for the same.
"""

from collections.abc import Iterable, Sequence

from simorgh_trainer.training.data import Row
from simorgh_trainer.training.formats.row_format import RowFormat, to_samples
from simorgh_trainer.training.packing import Samples


def encode_rows(rows: Sequence[Row], row_format: RowFormat, piece_tokens: int) -> Samples:
    """Inputs and labels of all rows."""
    return to_samples(row_format.encode_all(rows), piece_tokens)


def learnt_texts(rows: Iterable[Row]) -> Iterable[str]:
    """The texts that are predicted, each with one end symbol: the divisor of a loss per character counts them."""
    return (text for row in rows for _, text in row)
