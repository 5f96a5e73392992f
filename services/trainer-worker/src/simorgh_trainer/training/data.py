"""Rows of the dataset as segments of text: reads them, holds some out, and fingerprints what was read."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simorgh_shared.datasets.rows import AudioRow, MessagesRow, PreferenceRow, QaRow, RowSchema, TextRow, typed_decoder
from simorgh_shared.datasets.split import group_rows, sentence_key
from simorgh_shared.domain.errors import InvalidInputError

Segment = tuple[str, str]
"""A role (one that the tokenizer has a marker for; `text` for plain text) and what is said."""
Row = tuple[Segment, ...]
_ROLES = {"developer": "system"}  # the same role under its newer name


@dataclass(frozen=True)
class DatasetInput:
    """The `dataset` member of run.json."""

    row_schema: str
    columns: Mapping[str, str]
    train: Sequence[Path]
    test: Sequence[Path]

    @classmethod
    def from_run(cls, body: Mapping[str, Any], folder: Path) -> "DatasetInput":
        """Paths in run.json are relative to the work folder."""
        return cls(
            row_schema=body["row_schema"],
            columns=body.get("columns") or {},
            train=[folder / path for path in body["train"]],
            test=[folder / path for path in body.get("test") or []],
        )

    def fingerprint(self) -> str:
        """SHA-256 over what decides the samples: the bytes of each file, in order, and how they are read."""
        digest = hashlib.sha256()
        digest.update(json.dumps([self.row_schema, sorted(self.columns.items())], ensure_ascii=False).encode())
        for path in (*self.train, *self.test):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()


def read_rows(
    paths: Iterable[Path], row_schema: str, columns: Mapping[str, str], clean: Callable[[str], str] = str
) -> list[Row]:
    """All rows of JSONL files, each text as `clean` gives it; blank lines are skipped.

    Raises: InvalidInputError `bad_row` with the file, the line and the reason.
    """
    decoder = typed_decoder(RowSchema(row_schema), columns)
    rows = []
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    segments = row_segments(decoder.decode(line))
                    rows.append(tuple((role, clean(text)) for role, text in segments))
                except (ValueError, RecursionError) as error:
                    raise InvalidInputError("bad_row", file=path.name, line=number, reason=str(error)) from error
    return rows


def row_segments(row: QaRow | MessagesRow | TextRow | PreferenceRow | AudioRow) -> Row:
    """Who says what in a row.

    Raises: ValueError for a kind that no method learns from; the gateway refuses it before.
    """
    match row:
        case QaRow():
            return (("user", row.question), ("assistant", row.answer))
        case TextRow():
            return (("text", row.text),)
        case MessagesRow():
            return tuple((_ROLES.get(turn.role, turn.role), turn.content) for turn in row.messages)
        case PreferenceRow() | AudioRow():
            raise ValueError("no method learns from rows of this kind")


def hold_out(rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Split off about `fraction` of the rows; rows that share a sentence after normalisation stay on one side."""
    groups = group_rows([_sentences(row) for row in rows])
    wanted = round(len(rows) * fraction)
    held: set[int] = set()
    for index in np.random.default_rng([seed, len(rows)]).permutation(len(groups)):
        if len(held) + len(groups[index]) <= wanted:
            held.update(groups[index])
    return [row for i, row in enumerate(rows) if i not in held], [rows[i] for i in sorted(held)]


def _sentences(row: Row) -> list[str]:
    """What of a row must not stand on both sides: what the two who talk say, not what they were told or given."""
    said = [text for role, text in row if role not in ("system", "tool")]
    return [sentence_key(text) for text in said or (text for _, text in row)]
