"""Judging rows one by one: a JSON array, CSV, and single items of any JSON."""

import csv
import io
import itertools
from collections.abc import Callable, Iterator

import msgspec

from simorgh_shared.datasets.explain import explain_cells, explain_json, fault_of
from simorgh_shared.datasets.intake import Intake, iter_blocks, iter_items
from simorgh_shared.datasets.rows import (
    MAX_ROW_BYTES,
    ROW_TYPES,
    Row,
    RowSchema,
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


def judge_json(intake: Intake, start: StartTally) -> Tally | None:
    """Judge a JSON array or one object. None for a file without rows."""
    items = iter_items(intake.chunks())
    first, num_bytes = [], 0
    for item in items:
        first.append(item)
        num_bytes += len(item)
        if num_bytes > _NAMES_LOOKED_AT_BYTES:
            break
    if not first:
        return None
    tally = start(names_in(first, "JSON"))
    decoder = typed_decoder(tally.row_schema, tally.columns)
    for number, item in enumerate(itertools.chain(first, items), start=1):
        judge_item(item, f"Item {number}", decoder, tally)
    return tally


def judge_csv(intake: Intake, start: StartTally) -> Tally | None:
    """Judge CSV with a header; the delimiter is the one of , ; and tab that the header holds most."""
    lines = _CsvLines(intake.chunks())
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return None
    delimiter = max(DELIMITERS, key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    tally = start(frozenset(header))
    _require_columns(header, tally)
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    row_type = ROW_TYPES[tally.row_schema]
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
            values = {field: named[tally.columns.get(field, field)] for field in fields}
            tally.take([msgspec.convert(values, row_type)])


def _require_columns(header: list[str], tally: Tally) -> None:
    reason = "CSV holds no lists of messages" if tally.row_schema is RowSchema.MESSAGES else ""
    for column in tally.columns.values():
        if header.count(column) > 1:
            reason = f"the column {column[:40]} stands in the header twice"
    if reason:
        raise InvalidInputError("dataset_not_format", format="CSV", reason=reason)


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
        for block in iter_blocks(chunks):
            if block.is_cut:
                self._refuse_long()
            else:
                yield from io.BytesIO(block.data)

    def _refuse_long(self) -> None:
        reason = f"the row of line {self._row} is longer than {MAX_ROW_BYTES} bytes; a quote may not be closed"
        raise InvalidInputError("dataset_not_format", format="CSV", reason=reason)


def judge_item(item: bytes, place: str, decoder: msgspec.json.Decoder[Row], tally: Tally) -> None:
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
        tally.take([row])


def names_in(items: list[bytes], wanted_format: str) -> frozenset[str]:
    """The field names of the first objects, up to the first that fits a schema."""
    names: frozenset[str] = frozenset()
    num_objects = 0
    for item in items:
        try:
            found = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            continue
        num_objects += 1
        names |= found.keys()
        if schema_of_columns(names, {}):
            break
    if not num_objects and any(item.strip() for item in items):
        raise InvalidInputError(
            "dataset_not_format", format=wanted_format, reason="nothing at its start is a JSON object"
        )
    return names
