"""What a training method asks of a model's format, and how encoded rows become samples."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from simorgh_trainer.training.data import Row
from simorgh_trainer.training.packing import IGNORED, Samples

Encoded = tuple[np.ndarray, np.ndarray]
"""The inputs of a row, and the label of each: the token after it, or IGNORED."""
ANSWERS = "assistant"
"""The role that a model is tuned to speak as."""


class RowFormat(Protocol):
    """How one model writes rows."""

    @property
    def end_ids(self) -> Collection[int]:
        """The tokens that end an answer."""
        ...

    def encode_all(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Rows with labels in every segment and its end."""
        ...

    def encode_answers(self, rows: Sequence[Row]) -> Iterator[Encoded]:
        """Rows with labels in the answers and their ends.

        Raises: InvalidInputError where the model cannot write a row.
        """
        ...

    def prompt(self, row: Row) -> list[int]:
        """The ids that an answer to these segments follows."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids without special tokens."""
        ...


def to_samples(encoded: Iterable[Encoded], piece_tokens: int) -> Samples:
    """Samples of rows.

    One longer than `piece_tokens` becomes several, losing no label; a piece without any label is left out.
    """
    inputs: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for row_inputs, row_labels in encoded:
        for piece in range(0, len(row_inputs), piece_tokens):
            piece_labels = row_labels[piece : piece + piece_tokens]
            if (piece_labels != IGNORED).any():
                inputs.append(row_inputs[piece : piece + piece_tokens])
                labels.append(piece_labels)
    return Samples.join(inputs, labels)


def with_labels(ids: Sequence[int], learnt: Sequence[bool]) -> Encoded:
    """Inputs and labels of a row's ids, a label where the token that comes next is learnt."""
    ids_T = np.array(ids, dtype=np.int32)
    labels_T = np.where(learnt, ids_T, IGNORED).astype(np.int32)
    return ids_T[:-1], labels_T[1:]
