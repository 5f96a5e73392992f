"""Counting good and bad rows of one file, and writing the good ones as canonical JSONL."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import msgspec

from simorgh_shared.datasets.rows import ROW_TYPES, Row, RowSchema, fields_of

NUM_ERRORS_SHOWN = 10
_MAX_REASON_CHARS = 300


class Tally:
    """What was found so far; with a sink, good rows are written under their canonical names."""

    def __init__(self, row_schema: RowSchema, columns: Mapping[str, str], sink: BinaryIO | None) -> None:
        self.row_schema = row_schema
        self.columns = dict(columns)
        self.num_valid = 0
        self.num_errors = 0
        self.errors: list[str] = []
        self._sink = sink
        self._sink_hash = hashlib.sha256()
        self._sink_bytes = 0
        self._renames = any(columns.get(field, field) != field for field in fields_of(row_schema))
        self._encoder = msgspec.json.Encoder()

    def take(self, rows: Sequence[Row]) -> None:
        """Count good rows and write them where there is a sink."""
        self.num_valid += len(rows)
        if self._sink is None:
            return
        if self._renames:
            row_type = ROW_TYPES[self.row_schema]
            rows = [row_type(*msgspec.structs.astuple(row)) for row in rows]
        lines = self._encoder.encode_lines(rows)
        self._sink.write(lines)
        self._sink_hash.update(lines)
        self._sink_bytes += len(lines)

    def refuse(self, place: str, reason: str) -> None:
        """Count a bad row; `place` is `Line 7` or `Item 7`."""
        self.num_errors += 1
        if len(self.errors) < NUM_ERRORS_SHOWN:
            # A decoder may quote the whole value that it does not take.
            shown = reason if len(reason) <= _MAX_REASON_CHARS else f"{reason[:_MAX_REASON_CHARS]}…"
            self.errors.append(f"{place}: {shown}".replace("\0", "\ufffd"))  # PostgreSQL's JSON holds no NUL

    def written(self) -> tuple[str, int]:
        """The hash and the size of what the sink took."""
        return self._sink_hash.hexdigest(), self._sink_bytes
