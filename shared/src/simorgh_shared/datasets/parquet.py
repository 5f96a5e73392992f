"""Judging Parquet: rows by batches, in memory that neither the file's size nor its row groups decide.

The one module that imports pyarrow. The gateway never loads it: an import job checks such files.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from simorgh_shared.datasets.check import CheckOptions, CheckReport, report_of, start_tally
from simorgh_shared.datasets.formats import judge_item
from simorgh_shared.datasets.rows import RowSchema, typed_decoder
from simorgh_shared.datasets.tally import Tally
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError
from simorgh_shared.domain.messages import sentence

_BATCH_ROWS = 256
_BUFFER_BYTES = 1 << 20
Advance = Callable[[float], None]
"""Told of this share of all rows that was read since the last call."""


def judge_parquet(
    path: Path, sha256: str, options: CheckOptions, limit_bytes: int, advance: Advance = lambda _share: None
) -> CheckReport:
    """Judge a file; good rows go to `options.clean` as canonical JSONL.

    Raises: TooLargeError where they would take more than `limit_bytes`: a small file can hold very many.
    """
    assert options.clean is not None
    tally: Tally | None = None
    problem: InvalidInputError | None = None
    with options.clean.open("wb") as sink:
        try:
            with opened(path) as file:
                names = unique_names(file.schema_arrow)
                tally = start_tally(names, options, sink)
                _judge(file, tally, limit_bytes, advance)
                if not tally.num_valid and not tally.num_errors:
                    problem = InvalidInputError("dataset_empty")
        except InvalidInputError as error:
            problem = error
    report = report_of((path.stat().st_size, sha256), tally, problem, skip=options.skip_bad_rows)
    report.clean_needed = report.valid
    if report.valid and tally is not None:
        report.clean_sha256, report.clean_bytes = tally.written()
    return report


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A Parquet file that is read column by column in small pieces.

    Raises: InvalidInputError for what is none, also from within.
    """
    try:
        with pq.ParquetFile(path, memory_map=False, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except pa.ArrowMemoryError as error:
        raise MemoryError(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _unfit(str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from error


def unique_names(schema: Any) -> frozenset[str]:
    """The names of the columns.

    Raises: InvalidInputError where two have the same.
    """
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise _unfit(f"the column {name[:40]} stands in it twice")
    return frozenset(schema.names)


def rows_of(
    file: Any, columns: list[str], batch_rows: int = _BATCH_ROWS
) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """The rows with their numbers from 1; None for one whose text is not UTF-8."""
    number = 0
    for batch in file.iter_batches(batch_size=batch_rows, columns=columns, use_threads=False):
        for row in _decoded(batch):
            number += 1
            yield number, row


def require_text(schema: Any, column: str) -> None:
    """Raises: InvalidInputError for a column that holds no text."""
    kind = schema.field(column).type
    if not _is_text(kind):
        raise _unfit(f"the column {column[:40]} holds {str(kind)[:60]}, and text is needed")


def _judge(file: Any, tally: Tally, limit_bytes: int, advance: Advance) -> None:
    schema = file.schema_arrow
    columns = [column for column in tally.columns.values() if column in schema.names]
    for column in columns:
        if tally.row_schema is RowSchema.MESSAGES:
            _require_chat(schema, column)
        else:
            require_text(schema, column)
    decoder = typed_decoder(tally.row_schema, tally.columns)
    num_rows = max(1, file.metadata.num_rows)
    for number, row in rows_of(file, columns):
        if row is None:
            tally.refuse(f"Row {number}", sentence("row_not_utf8", {}))
        else:
            judge_item(msgspec.json.encode(row), f"Row {number}", decoder, tally)
        if number % _BATCH_ROWS == 0:
            advance(_BATCH_ROWS / num_rows)
            if tally.written()[1] > limit_bytes:
                raise TooLargeError("dataset_too_large", limit_bytes=limit_bytes)


def _decoded(batch: Any) -> Iterator[Mapping[str, Any] | None]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError:  # Arrow takes the writer's word for it that text is UTF-8
        for place in range(batch.num_rows):
            try:
                yield from batch.slice(place, 1).to_pylist()
            except UnicodeDecodeError:
                yield None


def _require_chat(schema: Any, column: str) -> None:
    kind = schema.field(column).type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not pa.types.is_struct(kind.value_type):
        raise _unfit(f"the column {column[:40]} holds {str(kind)[:60]}, and a list of turns is needed")


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(test(kind) for test in tests)


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("dataset_not_format", format="Parquet", reason=reason.rstrip("."))
