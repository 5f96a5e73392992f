"""Supervised fine-tuning: the answers alone are predicted; what is asked, and the system's word, is given."""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.training.data import Row
from simorgh_trainer.training.methods.segments import encode_segments
from simorgh_trainer.training.packing import Samples

_ANSWERS = "assistant"


def encode_rows(rows: Sequence[Row], tokenizer: Tokenizer, piece_tokens: int) -> Samples:
    """Inputs of all rows, labels in the answers.

    Raises: InvalidInputError `method_unfit` for rows without answers.
    """
    if rows and not any(role == _ANSWERS for row in rows for role, _ in row):
        raise InvalidInputError("method_unfit", method="sft", reason="the rows hold no answers", fitting="pretrain")
    return encode_segments(rows, tokenizer, piece_tokens, lambda role: role == _ANSWERS)


def num_characters(rows: Iterable[Row]) -> int:
    """Characters of the answers, one end symbol each counted: the divisor of a loss per character of the answers."""
    return sum(len(text) + 1 for row in rows for role, text in row if role == _ANSWERS)
