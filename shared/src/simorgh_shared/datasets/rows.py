"""Row schemas: what a row of a dataset holds, how a file's columns map to it, and reading rows for training.

Canonical JSONL is what training reads: UTF-8, one object a line, the fields of one schema under their own
names; further fields are ignored, blank lines skipped. This module reads it; `check` makes and judges it.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from simorgh_shared.domain.errors import InvalidInputError

MAX_CELL_CHARACTERS = 1_000_000
"""Longest value of one field: about a whole book."""
MAX_ROW_BYTES = 4_194_304
"""Longest row as it stands in the file: 1,000,000 Persian letters are 2 MB, or 6 MB as `\\u` escapes."""

BOM = b"\xef\xbb\xbf"

Cell = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CELL_CHARACTERS)]


class RowSchema(StrEnum):
    """The kinds of rows."""

    QA = "qa"
    MESSAGES = "messages"
    TEXT = "text"
    PREFERENCE = "preference"
    AUDIO = "audio"


class QaRow(msgspec.Struct, frozen=True, gc=False):
    """A question and its answer: the default."""

    question: Cell
    answer: Cell


class Message(msgspec.Struct, frozen=True, gc=False):
    """One turn of an OpenAI chat."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Cell


class _StrictMessage(Message, frozen=True, gc=False, forbid_unknown_fields=True):
    """A turn without further fields."""


class MessagesRow(msgspec.Struct, frozen=True):
    """An OpenAI chat; one of its turns is the assistant's, else there is nothing to learn from it."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1)]


class TextRow(msgspec.Struct, frozen=True, gc=False):
    """Plain text."""

    text: Cell


class PreferenceRow(msgspec.Struct, frozen=True, gc=False):
    """A prompt with the better and the worse of two answers."""

    prompt: Cell
    chosen: Cell
    rejected: Cell


class AudioRow(msgspec.Struct, frozen=True, gc=False):
    """A clip and what is said in it. What follows the text is told by the clip itself, never by who sends it."""

    file_name: Cell
    text: Cell
    clip: str = ""
    """Where the clip lies in the version's manifest."""
    sha256: str = ""
    bytes: int = 0
    format: str = ""
    sample_rate: int = 0
    channels: int = 0
    duration_s: float = 0.0


Row = QaRow | MessagesRow | TextRow | PreferenceRow | AudioRow

ROW_TYPES: dict[RowSchema, type[Row]] = {
    RowSchema.QA: QaRow,
    RowSchema.MESSAGES: MessagesRow,
    RowSchema.TEXT: TextRow,
    RowSchema.PREFERENCE: PreferenceRow,
    RowSchema.AUDIO: AudioRow,
}
_FIELDS: dict[RowSchema, tuple[str, ...]] = {
    **{row_schema: row_type.__struct_fields__ for row_schema, row_type in ROW_TYPES.items()},
    RowSchema.AUDIO: ("file_name", "text"),
}
TEXT_SCHEMAS = tuple(row_schema for row_schema in RowSchema if row_schema is not RowSchema.AUDIO)
"""Those whose rows are all that there is: a clip is not in its row."""


def fields_of(row_schema: RowSchema) -> tuple[str, ...]:
    """The required fields of a schema, in the order in which they are written."""
    return _FIELDS[row_schema]


def typed_decoder(row_schema: RowSchema, columns: Mapping[str, str]) -> msgspec.json.Decoder[Row]:
    """A decoder straight into the schema's struct; `columns` gives the file's name of a field."""
    renamed = _renamed(row_schema, columns)
    if not renamed:
        return msgspec.json.Decoder(ROW_TYPES[row_schema])
    return _decoder(row_schema, {}, renamed, forbid_unknown_fields=False)


def strict_decoder(row_schema: RowSchema, columns: Mapping[str, str]) -> msgspec.json.Decoder[Row]:
    """A decoder that takes rows without further fields, and texts of any length.

    It skips nothing, so that what it takes is proved to be UTF-8 from the first byte to the last.
    """
    texts = (
        {"messages": list[_StrictMessage]}
        if row_schema is RowSchema.MESSAGES
        else dict.fromkeys(fields_of(row_schema), str)
    )
    return _decoder(row_schema, texts, _renamed(row_schema, columns), forbid_unknown_fields=True)


def _renamed(row_schema: RowSchema, columns: Mapping[str, str]) -> dict[str, str]:
    return {field: columns[field] for field in fields_of(row_schema) if columns.get(field, field) != field}


def _decoder(
    row_schema: RowSchema, types: Mapping[str, object], renamed: Mapping[str, str], forbid_unknown_fields: bool
) -> msgspec.json.Decoder[Row]:
    row_type = ROW_TYPES[row_schema]
    made = msgspec.defstruct(
        f"Read{row_type.__name__}",
        [(hint.name, types.get(hint.name, hint.type)) for hint in msgspec.structs.fields(row_type)],
        bases=(row_type,),
        rename=dict(renamed) or None,
        forbid_unknown_fields=forbid_unknown_fields,
        frozen=True,
        gc=row_schema is RowSchema.MESSAGES,
    )
    return msgspec.json.Decoder(made)


def schema_of_columns(names: frozenset[str], columns: Mapping[str, str]) -> RowSchema | None:
    """The schema that a row with these field names belongs to; None where it fits none.

    One of a schema's fields is enough, so that a row with only a question is a bad `qa` row (which can be
    explained) and not an unknown one. A mapping decides before any name.
    """
    for row_schema in TEXT_SCHEMAS:
        if any(field in columns for field in fields_of(row_schema)):
            return row_schema
    if {"chosen", "rejected"} <= names:  # such files often hold the chosen answer as messages once more
        return RowSchema.PREFERENCE
    for row_schema in (RowSchema.MESSAGES, RowSchema.QA, RowSchema.TEXT):
        if any(field in names for field in fields_of(row_schema)):
            return row_schema
    return RowSchema.PREFERENCE if names & {"chosen", "rejected"} else None  # a prompt alone is no preference


def is_blank(text: str) -> bool:
    """Whether a value says nothing: empty, or white space alone."""
    return not text or text.isspace()


def iter_rows(path: Path, row_schema: RowSchema) -> Iterator[Row]:
    """The rows of a canonical JSONL file in order, in constant memory.

    Raises: InvalidInputError with the line number for a row that does not fit; nothing after it is read.
    """
    decoder = typed_decoder(row_schema, {})
    with path.open("rb") as lines:
        for line_number, raw_line in enumerate(lines, start=1):
            line = raw_line.removeprefix(BOM) if line_number == 1 else raw_line
            if line.isspace() or not line:
                continue
            try:
                yield decoder.decode(line)
            except (ValueError, RecursionError) as cause:
                raise InvalidInputError(
                    "dataset_row_invalid", line=line_number, row_schema=row_schema.value, reason=str(cause)
                ) from cause
