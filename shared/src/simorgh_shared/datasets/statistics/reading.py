"""Reads a version's rows: all of them in batches, and any one again by its number."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, assert_never

import msgspec
import numpy as np

from simorgh_shared.datasets.rows import (
    BOM,
    AudioRow,
    MessagesRow,
    PreferenceRow,
    QaRow,
    Row,
    RowSchema,
    TextRow,
    typed_decoder,
)
from simorgh_shared.datasets.statistics.folding import Pieces, pieces_of
from simorgh_shared.datasets.statistics.segments import Codes, Ints, Words
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.statistics import Place, SplitName

FIELDS = ("question", "answer", "text", "user", "assistant", "system", "tool", "prompt", "chosen", "rejected")
PART_OF_FIELD = np.array([0, 1, 0, 0, 1, 3, 3, 0, 1, 2], dtype=np.int64)
"""Texts are compared with those of the same part; those of the last part are not compared."""
NOT_COMPARED = 3
_NUMBER_OF_FIELD = {name: number for number, name in enumerate(FIELDS)} | {"developer": FIELDS.index("system")}
_TEXTS_OF = {
    RowSchema.QA: ("question", "answer"),
    RowSchema.PREFERENCE: ("prompt", "chosen", "rejected"),
    RowSchema.TEXT: ("text",),
    RowSchema.AUDIO: ("text",),  # a clip is not looked at
}
_BATCH_BYTES = 1 << 19  # what a batch becomes stays in a processor's cache

Field = tuple[str, str]
"""A field's name and its text."""


@dataclass(frozen=True)
class Source:
    """The files of a version, and how their rows are read."""

    row_schema: RowSchema
    columns: Mapping[str, str]
    files: Sequence[tuple[SplitName, Path]]
    """The train split first."""

    def decoder(self) -> msgspec.json.Decoder[Row]:
        """Decodes a line."""
        return typed_decoder(self.row_schema, self.columns)


@dataclass(frozen=True)
class Batch:
    """Some rows that follow each other."""

    split: SplitName
    first_row: int
    """Counted over all files."""
    lines: Codes
    offsets: Words
    texts: list[str]
    fields: Ints
    """Of each text the number of its field."""
    texts_a_row: Ints
    num_bytes: int

    @property
    def num_rows(self) -> int:
        """How many rows."""
        return len(self.texts_a_row)

    @cached_property
    def pieces(self) -> Pieces:
        """The texts' code points as they are."""
        return pieces_of(self.texts)

    @cached_property
    def characters_a_row(self) -> Ints:
        """How many characters the texts of each row have."""
        bounds = np.concatenate(([0], np.cumsum(self.pieces.lengths)))
        return np.diff(bounds[np.concatenate(([0], np.cumsum(self.texts_a_row)))])

    def place(self, row: int) -> Place:
        """Where a row of the batch stands."""
        return Place(split=self.split, line=int(self.lines[row]))

    def fields_of(self, row: int) -> list[Field]:
        """What a row of the batch says."""
        begin = int(self.texts_a_row[:row].sum())
        end = begin + int(self.texts_a_row[row])
        return [(FIELDS[self.fields[text]], self.texts[text]) for text in range(begin, end)]


def fields_of(row: Row) -> list[Field]:
    """What a row says, field by field."""
    if isinstance(row, MessagesRow):
        return [(FIELDS[_NUMBER_OF_FIELD[turn.role]], turn.content) for turn in row.messages]
    match row:
        case QaRow():
            return [("question", row.question), ("answer", row.answer)]
        case PreferenceRow():
            return [("prompt", row.prompt), ("chosen", row.chosen), ("rejected", row.rejected)]
        case TextRow() | AudioRow():
            return [("text", row.text)]
        case _:
            assert_never(row)


def batches(source: Source, batch_bytes: int = _BATCH_BYTES) -> Iterator[Batch]:
    """All rows in order. Blank lines are no rows.

    Raises: InvalidInputError with the line of a row that does not fit.
    """
    decoder, first_row = source.decoder(), 0
    for split, path in source.files:
        offset, line = 0, 1
        with path.open("rb") as file:
            while raw := file.readlines(batch_bytes):
                batch = _batch(decoder, raw, split, (first_row, offset, line), source.row_schema)
                offset, line, first_row = offset + batch.num_bytes, line + len(raw), first_row + batch.num_rows
                yield batch


def _batch(
    decoder: msgspec.json.Decoder[Row], raw: list[bytes], split: SplitName, at: tuple[int, int, int], schema: RowSchema
) -> Batch:
    first_row, offset, line = at
    sizes = np.fromiter(map(len, raw), dtype=np.uint64, count=len(raw))
    offsets = np.uint64(offset) + np.cumsum(sizes) - sizes
    lines = np.arange(line, line + len(raw), dtype=np.uint32)
    if offset == 0:
        raw[0] = raw[0].removeprefix(BOM)
    filled = [number for number, one in enumerate(raw) if not one.isspace() and one]
    if len(filled) < len(raw):
        raw, lines, offsets = [raw[number] for number in filled], lines[filled], offsets[filled]
    rows: list[Row] = []
    try:
        rows.extend(map(decoder.decode, raw))
    except (ValueError, RecursionError) as error:
        where = int(lines[len(rows)]) if len(rows) < len(lines) else line
        raise InvalidInputError("dataset_row_invalid", line=where, row_schema=schema, reason=str(error)) from error
    texts, fields, texts_a_row = _texts(rows, schema)
    return Batch(split, first_row, lines, offsets, texts, fields, texts_a_row, int(sizes.sum()))


def _texts(rows: list[Row], schema: RowSchema) -> tuple[list[str], Ints, Ints]:
    if schema is RowSchema.MESSAGES:
        turns = [[(_NUMBER_OF_FIELD[turn.role], turn.content) for turn in row.messages] for row in _chats(rows)]
        texts = [text for row in turns for _, text in row]
        fields = np.fromiter((field for row in turns for field, _ in row), dtype=np.int64, count=len(texts))
        return texts, fields, np.fromiter(map(len, turns), dtype=np.int64, count=len(rows))
    names = _TEXTS_OF[schema]
    getters = [attrgetter(name) for name in names]
    texts = [get(row) for row in rows for get in getters]
    numbers = np.array([_NUMBER_OF_FIELD[name] for name in names], dtype=np.int64)
    return texts, np.tile(numbers, len(rows)), np.full(len(rows), len(names), dtype=np.int64)


def _chats(rows: list[Row]) -> Iterator[MessagesRow]:
    for row in rows:
        assert isinstance(row, MessagesRow)
        yield row


class RowIndex:
    """Where each row lies, on disk; reads rows again by their numbers."""

    def __init__(self, source: Source, folder: Path) -> None:
        self._decoder = source.decoder()
        self._stack = ExitStack()
        self._splits = [split for split, _ in source.files]
        self._files = [self._stack.enter_context(path.open("rb")) for _, path in source.files]
        self._offsets = self._stack.enter_context((folder / "offsets").open("w+b"))
        self._lines = self._stack.enter_context((folder / "lines").open("w+b"))
        self._num_rows = [0] * len(self._files)
        self._is_flushed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, batch: Batch) -> None:
        """Remember where these rows lie."""
        self._offsets.write(batch.offsets.tobytes())
        self._lines.write(batch.lines.tobytes())
        self._num_rows[self._splits.index(batch.split)] += batch.num_rows
        self._is_flushed = False

    @property
    def num_rows(self) -> int:
        """Of all files."""
        return sum(self._num_rows)

    @property
    def num_train_rows(self) -> int:
        """Those before the first row of the test split."""
        counted = zip(self._splits, self._num_rows, strict=True)
        return sum(count for split, count in counted if split == "train")

    def place(self, row: int) -> Place:
        """Where a row stands."""
        return Place(split=self._splits[self._file_of(row)], line=self._number(self._lines, row, 4))

    def read(self, row: int) -> list[Field]:
        """What a row says."""
        file = self._files[self._file_of(row)]
        file.seek(self._number(self._offsets, row, 8))
        return fields_of(self._decoder.decode(file.readline().removeprefix(BOM)))

    def _file_of(self, row: int) -> int:
        for number, count in enumerate(self._num_rows):
            if row < count:
                return number
            row -= count
        raise IndexError(row)

    def _number(self, file: BinaryIO, row: int, width: int) -> int:
        if not self._is_flushed:
            self._offsets.flush()
            self._lines.flush()
            self._is_flushed = True
        return int.from_bytes(os.pread(file.fileno(), width, row * width), "little")
