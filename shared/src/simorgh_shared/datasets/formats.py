"""Judging the rows of each file format: JSON Lines, a JSON array, CSV."""

import csv
import io
from collections.abc import Callable, Iterator
from operator import attrgetter

import msgspec

from simorgh_shared.datasets.explain import explain_cells, explain_json, fault_of
from simorgh_shared.datasets.intake import iter_blocks, iter_items
from simorgh_shared.datasets.rows import (
    MAX_ROW_BYTES,
    QaRow,
    Row,
    RowSchema,
    TextRow,
    fields_of,
    schema_of_columns,
    typed_decoder,
)
from simorgh_shared.datasets.tally import Tally
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.messages import sentence

DELIMITERS = (",", ";", "\t")
_NAMES_LOOKED_AT_BYTES = 65_536
StartTally = Callable[[frozenset[str]], Tally]
"""Makes the tally from the names that the file's first rows hold; raises where they fit no schema."""


def judge_jsonl(chunks: Iterator[bytes], start: StartTally) -> Tally | None:
    """Judge JSON Lines; blank lines are skipped. None for a file without rows."""
    tally: Tally | None = None
    for line_number, block in iter_blocks(chunks):
        if block is not None and not block.strip():
            continue
        if tally is None:
            tally = start(_names_in((block or b"").split(b"\n"), "JSON Lines"))
            decoder = typed_decoder(tally.row_schema, tally.columns)
        if block is None:
            tally.refuse(f"Line {line_number}", sentence("row_too_long", {"limit": MAX_ROW_BYTES}))
        elif (rows := _rows_of_good_block(block, decoder, tally.row_schema)) is not None:
            tally.take(rows, len(rows))
        else:
            for place, line in enumerate(block.split(b"\n"), start=line_number):
                if line.strip():
                    _judge_item(line, f"Line {place}", decoder, tally)
    return tally


def judge_json(chunks: Iterator[bytes], start: StartTally) -> Tally | None:
    """Judge a JSON array or one object. None for a file without rows."""
    tally: Tally | None = None
    for number, item in enumerate(iter_items(chunks), start=1):
        if tally is None:
            tally = start(_names_in([item], "JSON rows"))
            decoder = typed_decoder(tally.row_schema, tally.columns)
        _judge_item(item, f"Item {number}", decoder, tally)
    return tally


def judge_csv(chunks: Iterator[bytes], start: StartTally) -> Tally | None:
    """Judge CSV with a header; the delimiter is the one of , ; and tab that the header holds most."""
    lines = _CsvLines(chunks)
    first = next(lines, "")
    if not first.strip():
        return None
    delimiter = max(DELIMITERS, key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    tally = start(frozenset(header))
    if tally.row_schema is RowSchema.MESSAGES:
        raise InvalidInputError("dataset_not_format", format="CSV", reason="CSV holds no lists of messages")
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    row_type = QaRow if tally.row_schema is RowSchema.QA else TextRow
    fields = fields_of(tally.row_schema)
    while True:
        place = f"Line {lines.start_row()}"
        try:
            cells = next(reader)
        except StopIteration:
            return tally if tally.num_valid or tally.num_errors else None
        except csv.Error as cause:
            tally.refuse(place, sentence("row_bad_csv", {"reason": str(cause)}))
            continue
        if not any(cells):
            continue
        named = dict(zip(header, cells, strict=False))
        if any(cells[len(header) :]):
            fault: str | None = sentence("row_cell_count", {"found": len(cells), "wanted": len(header)})
        else:
            fault = explain_cells(named, tally.row_schema, tally.columns)
        if fault:
            tally.refuse(place, fault)
        else:
            tally.take([row_type(*(named[tally.columns.get(field, field)] for field in fields))], 1)


class _CsvLines:
    """Lines of a CSV file for the reader, which takes several where a quoted cell spans them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._lines = self._split(chunks)
        self._given = 0
        self._row = 1
        self._row_bytes = 0

    def start_row(self) -> int:
        """The line at which the next row begins."""
        self._row, self._row_bytes = self._given + 1, 0
        return self._row

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._given += 1
        self._row_bytes += len(line)
        if self._row_bytes > MAX_ROW_BYTES:
            self._refuse_long()
        return line.decode()

    def _split(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for _, block in iter_blocks(chunks):
            if block is None:
                self._refuse_long()
            else:
                yield from io.BytesIO(block)

    def _refuse_long(self) -> None:
        reason = f"the row of line {self._row} is longer than {MAX_ROW_BYTES} bytes; a quote may not be closed"
        raise InvalidInputError("dataset_not_format", format="CSV", reason=reason)


def _rows_of_good_block(block: bytes, decoder: msgspec.json.Decoder[Row], row_schema: RowSchema) -> list[Row] | None:
    """The rows of a block without any fault, at the speed of C; None where a line must be looked at.

    A newline between } and { always parts two values, and with as many rows as lines each line holds one.
    """
    body = block.rstrip()
    num_lines = body.count(b"\n") + 1
    parted = body.count(b"}\n{") == num_lines - 1
    if not parted and b"\r\n" in body:
        parted = body.count(b"}\n{") + body.count(b"}\r\n{") == num_lines - 1
    if not parted or b"\\u0000" in body or len(body) > MAX_ROW_BYTES:
        return None
    try:
        rows = decoder.decode_lines(body)
    except (ValueError, RecursionError):
        return None
    if len(rows) != num_lines:
        return None
    if row_schema is RowSchema.MESSAGES:
        return None if any(map(fault_of, rows)) else rows
    for field in fields_of(row_schema):
        if not all(map(str.strip, map(attrgetter(field), rows))):
            return None
    return rows


def _judge_item(item: bytes, place: str, decoder: msgspec.json.Decoder[Row], tally: Tally) -> None:
    try:
        row = decoder.decode(item)
    except (ValueError, RecursionError) as cause:
        tally.refuse(place, explain_json(item, tally.row_schema, tally.columns, str(cause)))
        return
    if len(item) > MAX_ROW_BYTES:
        tally.refuse(place, sentence("row_too_long", {"limit": MAX_ROW_BYTES}))
    elif fault := fault_of(row):
        tally.refuse(place, fault)
    else:
        tally.take([row], 1)


def _names_in(items: list[bytes], wanted_format: str) -> frozenset[str]:
    """The field names of the first objects, up to the first that fits a schema."""
    names: frozenset[str] = frozenset()
    num_objects = 0
    for item in items:
        if len(item) > _NAMES_LOOKED_AT_BYTES:
            num_objects += item.lstrip().startswith(b"{")
            continue
        try:
            found = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            num_objects += wanted_format != "JSON Lines"
            continue
        num_objects += 1
        names |= found.keys()
        if schema_of_columns(names, {}):
            break
    if not num_objects and any(item.strip() for item in items):
        raise InvalidInputError(
            "dataset_not_format", format=wanted_format, reason="no line at its start is a JSON object"
        )
    return names
