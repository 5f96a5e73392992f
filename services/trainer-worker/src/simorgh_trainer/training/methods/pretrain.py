"""Causal pretraining: every character of a row is predicted, whoever says it.

The held-out loss per character divides by the characters of all segments and one end symbol each. A character model
that is compared with it pays for the same.
"""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from simorgh_trainer.training.data import Row
from simorgh_trainer.training.methods.segments import encode_segments
from simorgh_trainer.training.packing import Samples


def encode_rows(rows: Sequence[Row], tokenizer: Tokenizer, piece_tokens: int) -> Samples:
    """Inputs and labels of all rows."""
    return encode_segments(rows, tokenizer, piece_tokens, lambda _: True)


def num_characters(rows: Iterable[Row]) -> int:
    """Characters of the rows, one end symbol for each segment counted: the divisor of a loss per character."""
    return sum(len(text) + 1 for row in rows for _, text in row)
