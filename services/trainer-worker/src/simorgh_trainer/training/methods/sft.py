"""Supervised fine-tuning: the answers alone are predicted; what is asked, and the system's word, is given."""

from collections.abc import Iterable, Sequence

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.training.data import Row
from simorgh_trainer.training.formats.row_format import ANSWERS, RowFormat, to_samples
from simorgh_trainer.training.packing import Samples


def encode_rows(rows: Sequence[Row], row_format: RowFormat, piece_tokens: int) -> Samples:
    """Inputs of all rows, labels in the answers.

    Raises: InvalidInputError `method_unfit` for rows without answers.
    """
    if rows and not any(role == ANSWERS for row in rows for role, _ in row):
        raise InvalidInputError("method_unfit", method="sft", reason="the rows hold no answers", fitting="pretrain")
    return to_samples(row_format.encode_answers(rows), piece_tokens)


def learnt_texts(rows: Iterable[Row]) -> Iterable[str]:
    """The answers, each with one end symbol: the divisor of a loss per character of the answers counts them."""
    return (text for row in rows for role, text in row if role == ANSWERS)
