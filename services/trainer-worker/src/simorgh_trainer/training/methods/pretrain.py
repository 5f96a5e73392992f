"""Causal pretraining: every character of a row is predicted, whoever says it.

A row becomes `<|user|>question<|end|><|assistant|>answer<|end|>` (a plain text `<|text|>text<|end|>`). The roles'
markers are given, never predicted: whoever serves the model puts them there. `<|end|>` is predicted, so each segment
costs its characters and one end symbol. That is what the held-out loss per character divides by, and what a
character model that is compared with it pays for too.
"""

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from simorgh_trainer.training.data import Row
from simorgh_trainer.training.packing import IGNORED, Samples
from simorgh_trainer.training.tokenizer import END, ROLE_MARKERS, encode_texts, special_id

_ROWS_AT_ONCE = 4_096


def encode_rows(rows: Sequence[Row], tokenizer: Tokenizer, piece_tokens: int) -> Samples:
    """Inputs and labels of all rows; a row longer than `piece_tokens` becomes several samples, losing no label."""
    inputs: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        for row_inputs, row_labels in _encode(rows[start : start + _ROWS_AT_ONCE], tokenizer):
            for piece in range(0, len(row_inputs), piece_tokens):
                inputs.append(row_inputs[piece : piece + piece_tokens])
                labels.append(row_labels[piece : piece + piece_tokens])
    return Samples.join(inputs, labels)


def _encode(rows: Sequence[Row], tokenizer: Tokenizer) -> list[tuple[np.ndarray, np.ndarray]]:
    texts = iter(encode_texts(tokenizer, [text for row in rows for _, text in row]))
    end = special_id(tokenizer, END)
    markers = {role: special_id(tokenizer, token) for role, token in ROLE_MARKERS.items()}
    encoded = []
    for row in rows:
        tokens: list[int] = []
        predicted: list[bool] = []
        for role, _ in row:
            ids = next(texts)
            tokens += [markers[role], *ids, end]
            predicted += [False, *(True for _ in ids), True]
        ids_T = np.array(tokens, dtype=np.int32)
        labels_T = np.where(predicted, ids_T, IGNORED).astype(np.int32)
        encoded.append((ids_T[:-1], labels_T[1:]))
    return encoded
