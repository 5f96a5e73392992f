"""The rows that both forms of a model are measured on, and those that it may learn from, as token ids."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simorgh_shared.datasets.split import sentence_key
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.persian.normaliser import normalise
from simorgh_trainer.training.data import DatasetInput, Row, hold_out, read_rows
from simorgh_trainer.training.formats.row_format import ANSWERS, RowFormat, to_samples
from simorgh_trainer.training.model_folder import find_row_format
from simorgh_trainer.training.packing import Samples
from simorgh_trainer.training.tokenizer import load_tokenizer

_PIECE_TOKENS = 512
ROW_TOKENS = 256
"""Of a piece that is learnt from."""
_SHARE, _SEED = 0.1, 0
"""Of a dataset without a test split that the model is not known to have been trained on."""


@dataclass(frozen=True)
class HeldOutData:
    """What is scored, what is asked, and where it comes from."""

    samples: list[tuple[list[int], list[int]]]
    """Ids, and the label of each: the token after it, or -100."""
    prompts: list[list[int]]
    end_ids: frozenset[int]
    source: str
    num_rows: int


def read_held_out(
    source: Path, dataset: DatasetInput, training: Mapping[str, Any] | None, spec: Mapping[str, Any]
) -> HeldOutData:
    """Encode the held-out rows as the model of folder `source` writes them.

    training: how the model's own run held rows of this dataset out; None where it was trained on others.
    Raises: InvalidInputError.
    """
    _, rows, where = _parted(dataset, training)
    rows = rows[: spec["rows"]]
    row_format, positions = _row_format(source), _positions(source)
    is_asked = any(role == ANSWERS for row in rows for role, _ in row)
    samples = _lists(_encoded(rows, row_format, min(_PIECE_TOKENS, positions)))
    if not samples:
        raise InvalidInputError("optimization_unfit", reason="no row of the dataset is held out to measure it on")
    prompts = _prompts(rows, row_format) if is_asked else [ids[: max(1, len(ids) // 2)] for ids, _ in samples]
    room = positions - spec["max_tokens"]
    if room < 1:
        raise InvalidInputError("optimization_unfit", reason=f"it takes {positions} positions: lower max_tokens")
    kept = [prompt[-room:] for prompt in prompts[: spec["prompts"]]]
    return HeldOutData(samples, kept, frozenset(row_format.end_ids), where, len(rows))


def read_learnt(
    source: Path, dataset: DatasetInput, training: Mapping[str, Any] | None, other: DatasetInput | None
) -> Samples:
    """Rows to learn from: of `other`, else of the dataset that is measured; none of them is held out of that.

    Raises: InvalidInputError.
    """
    learnt, held, _ = _parted(dataset, training)
    if other is not None:
        learnt = read_rows(other.train, other.row_schema, other.columns)
    measured = {_key(row) for row in held}
    rows = [row for row in learnt if _key(row) not in measured]
    return _encoded(rows, _row_format(source), min(ROW_TOKENS, _positions(source)))


def _key(row: Row) -> tuple[str, ...]:
    return tuple(sentence_key(text) for _, text in row)


def _encoded(rows: Sequence[Row], row_format: RowFormat, piece_tokens: int) -> Samples:
    """Answers are predicted; in rows without any, everything is."""
    is_asked = any(role == ANSWERS for row in rows for role, _ in row)
    return to_samples(row_format.encode_answers(rows) if is_asked else row_format.encode_all(rows), piece_tokens)


def _row_format(source: Path) -> RowFormat:
    folder = source if (source / "tokenizer.json").is_file() else source / "base"
    try:
        tokenizer = load_tokenizer(folder / "tokenizer.json")
    except Exception as error:  # tokenizers raises bare ones
        raise InvalidInputError("optimization_unfit", reason=f"its tokenizer.json cannot be read ({error})") from error
    return find_row_format(folder, tokenizer)


def _positions(source: Path) -> int:
    return int(json.loads((whole_model(source) / "config.json").read_bytes())["max_position_embeddings"])


def whole_model(source: Path) -> Path:
    """Where the configuration lies: an adapter's is its base's."""
    return source if (source / "config.json").is_file() else source / "base"


def _parted(dataset: DatasetInput, training: Mapping[str, Any] | None) -> tuple[list[Row], list[Row], str]:
    """What may be learnt, what is held out, and by which rule."""
    clean = normalise if training is not None and training.get("normalise") else str
    rows = read_rows(dataset.train, dataset.row_schema, dataset.columns, clean)
    if dataset.test:
        return rows, read_rows(dataset.test, dataset.row_schema, dataset.columns, clean), "test split"
    if training is not None:
        learnt, held = hold_out(rows, training["eval_fraction"], training["seed"])
        if held:
            return learnt, held, "held out as in training"
    learnt, held = hold_out(rows, _SHARE, _SEED)
    return (learnt, held, "a share of the rows") if held else (rows, rows, "all rows")


def _prompts(rows: Sequence[Row], row_format: RowFormat) -> list[list[int]]:
    """What is asked in rows that end in an answer, nothing twice."""
    asked = dict.fromkeys(row[:-1] for row in rows if len(row) > 1 and row[-1][0] == ANSWERS)
    return [row_format.prompt(row) for row in asked]


def _lists(samples: Samples) -> list[tuple[list[int], list[int]]]:
    spans = [(int(samples.offsets[i]), int(samples.offsets[i + 1])) for i in range(len(samples))]
    return [(samples.inputs[begin:end].tolist(), samples.labels[begin:end].tolist()) for begin, end in spans]
