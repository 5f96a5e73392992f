"""Rows as tokens: each segment between its role's marker and `<|end|>`, with labels where the method learns."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from tokenizers import Tokenizer

from simorgh_trainer.training.data import Row
from simorgh_trainer.training.packing import IGNORED, Samples
from simorgh_trainer.training.tokenizer import END, ROLE_MARKERS, encode_texts, special_id

_ROWS_AT_ONCE = 4_096


def encode_segments(
    rows: Sequence[Row], tokenizer: Tokenizer, piece_tokens: int, is_learnt: Callable[[str], bool]
) -> Samples:
    """Inputs and labels of all rows, labels in the segments of the roles that `is_learnt` names.

    A row becomes `<|user|>question<|end|><|assistant|>answer<|end|>` (a plain text `<|text|>text<|end|>`). The roles'
    markers are given, never predicted: whoever serves the model puts them there. `<|end|>` is predicted, so each
    learnt segment costs its characters and one end symbol. A row longer than `piece_tokens` becomes several samples,
    losing no label; a piece without any label is left out.
    """
    inputs: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        for row_inputs, row_labels in _encode(rows[start : start + _ROWS_AT_ONCE], tokenizer, is_learnt):
            for piece in range(0, len(row_inputs), piece_tokens):
                piece_labels = row_labels[piece : piece + piece_tokens]
                if (piece_labels != IGNORED).any():
                    inputs.append(row_inputs[piece : piece + piece_tokens])
                    labels.append(piece_labels)
    return Samples.join(inputs, labels)


def _encode(
    rows: Sequence[Row], tokenizer: Tokenizer, is_learnt: Callable[[str], bool]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    texts = iter(encode_texts(tokenizer, [text for row in rows for _, text in row]))
    end = special_id(tokenizer, END)
    markers = {role: special_id(tokenizer, token) for role, token in ROLE_MARKERS.items()}
    for row in rows:
        tokens: list[int] = []
        predicted: list[bool] = []
        for role, _ in row:
            ids = next(texts)
            tokens += [markers[role], *ids, end]
            predicted += [False, *[is_learnt(role)] * (len(ids) + 1)]
        ids_T = np.array(tokens, dtype=np.int32)
        labels_T = np.where(predicted, ids_T, IGNORED).astype(np.int32)
        yield ids_T[:-1], labels_T[1:]
