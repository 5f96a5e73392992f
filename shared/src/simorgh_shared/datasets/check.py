"""Judge an uploaded dataset as it streams in: `python -m simorgh_shared.datasets.check` reads stdin.

The gateway pipes an upload to this child, so that parsing neither holds its event loop nor its memory.
Rows are counted without blank lines and without a CSV header: valid_lines + error_count = total_lines.
"""

import argparse
import contextlib
import json
import resource
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from simorgh_shared.datasets.formats import judge_csv, judge_json
from simorgh_shared.datasets.intake import Intake, Readable
from simorgh_shared.datasets.jsonl import judge_jsonl
from simorgh_shared.datasets.rows import RowSchema, fields_of, schema_of_columns
from simorgh_shared.datasets.tally import Tally
from simorgh_shared.domain.errors import InvalidInputError, Param
from simorgh_shared.gzipped import GZIP_SUFFIX, GzipWriter, read_plain

Format = Literal["jsonl", "json", "csv", "parquet"]
READ_ARGUMENTS = "--arguments-from-stdin"
"""As its only argument: the others come as a JSON list, the first line of stdin, so that it may begin before a file."""
EXIT_NO_ROOM = 74
"""How the child ends where it cannot write: not the uploader's fault."""
_JUDGES = {"jsonl": judge_jsonl, "json": judge_json, "csv": judge_csv}
_MAX_DEPTH = 500  # half of Python's own, so that whoever reads a kept row from a deeper stack can
_ADDRESS_SPACE_BYTES = 1_073_741_824  # the bounds in the code hold it far below; this is the last wall


class CheckOptions(msgspec.Struct, frozen=True):
    """What the uploader said of the file."""

    format: Format
    row_schema: RowSchema | None = None
    columns: dict[str, str] = {}
    """The file's name of a field, such as {"question": "prompt"}."""
    skip_bad_rows: bool = False
    source: Path | None = None
    """The file that is judged, where it is one already."""
    spool: Path | None = None
    clean: Path | None = None


class CheckReport(msgspec.Struct):
    """What was found; `problem` is None exactly where the dataset is usable."""

    valid: bool
    problem: str | None
    """A code of the catalogue such as dataset_empty; `problem_params` fill its sentence."""
    problem_params: dict[str, Param]
    total_lines: int
    valid_lines: int
    error_count: int
    errors: list[str]
    row_schema: RowSchema | None
    columns: dict[str, str]
    rows: int
    bytes: int
    sha256: str
    clean_needed: bool
    """The file that training reads is the one at `clean`, not the bytes that came."""
    clean_sha256: str | None = None
    clean_bytes: int | None = None


def refusal(report: CheckReport, split: str = "train") -> InvalidInputError | None:
    """The answer to an upload that cannot be used; None where it can."""
    if report.problem is None:
        return None
    data = {name: getattr(report, name) for name in ("valid", "total_lines", "valid_lines", "error_count")}
    return InvalidInputError(
        report.problem,
        details=place_errors(report, split),
        data=data | {"split": split},
        retry_after_s=None,
        **report.problem_params,
    )


def place_errors(report: CheckReport, split: str) -> list[str]:
    """The errors of a split's file; those of the test split say so, since their lines are not the train file's."""
    return report.errors if split == "train" else [f"{split}: {error}" for error in report.errors]


def check_stream(stream: Readable, options: CheckOptions) -> CheckReport:
    """Judge a stream to its end, in constant memory; the raw bytes go to `spool`, canonical rows to `clean`.

    Where their names end in `.gz`, `spool` and `source` hold the gzip of the bytes.
    """
    mapped = any(field != name for field, name in options.columns.items())
    rewrite = options.format != "jsonl" or mapped
    with ExitStack() as files:
        spool = files.enter_context(contextlib.closing(_spool(options.spool))) if options.spool else None
        intake = Intake(stream, spool)
        report, tally = _judge(intake, options, options.clean if rewrite else None)
    dropped = report.valid and tally is not None and tally.num_errors > 0
    lies_at = options.spool or options.source
    if dropped and not rewrite and lies_at and options.clean:
        with read_plain(lies_at) as again:  # a second pass, for files with bad rows only
            _, tally = _judge(Intake(again, None), options, options.clean)
    report.clean_needed = report.valid and (rewrite or dropped)
    if report.clean_needed and options.clean and tally is not None:
        report.clean_sha256, report.clean_bytes = tally.written()
    return report


def _spool(path: Path) -> BinaryIO | GzipWriter:
    return GzipWriter(path) if path.suffix == GZIP_SUFFIX else path.open("wb")


def _judge(intake: Intake, options: CheckOptions, clean: Path | None) -> tuple[CheckReport, Tally | None]:
    tally: Tally | None = None
    problem: InvalidInputError | None = None
    with ExitStack() as files:
        sink = files.enter_context(clean.open("wb")) if clean else None

        def start(names: frozenset[str]) -> Tally:
            nonlocal tally
            tally = start_tally(names, options, sink)
            return tally

        try:
            if _JUDGES[options.format](intake, start) is None:
                problem = InvalidInputError("dataset_empty")
        except InvalidInputError as error:
            problem = error
        intake.drain()
    return report_of((intake.num_bytes, intake.sha256), tally, problem, skip=options.skip_bad_rows), tally


def start_tally(names: frozenset[str], options: CheckOptions, sink: BinaryIO | None) -> Tally:
    """The count of a file whose first rows have these field names.

    Raises: InvalidInputError where they are of no kind of row, or of one that needs more than rows.
    """
    row_schema = options.row_schema or schema_of_columns(names, options.columns)
    if row_schema is RowSchema.AUDIO:
        reason = "audio rows need their clips: send a .zip or .tar with metadata.jsonl, or .parquet"
        raise InvalidInputError("dataset_not_format", format="an audio set", reason=reason)
    if row_schema is None:
        found = ", ".join(sorted(name[:40] for name in names)[:10]) or "none"
        raise InvalidInputError("dataset_unknown_schema", found=found)
    columns = {field: options.columns.get(field, field) for field in fields_of(row_schema)}
    return Tally(row_schema, columns, sink)


def report_of(
    came: tuple[int, str], tally: Tally | None, problem: InvalidInputError | None, *, skip: bool
) -> CheckReport:
    """What was found in a file that came with this size and hash."""
    num_valid, num_errors = (tally.num_valid, tally.num_errors) if tally else (0, 0)
    if problem is None and num_errors:
        if not num_valid:
            problem = InvalidInputError("dataset_no_valid_rows", rows=num_errors)
        elif not skip:
            problem = InvalidInputError("dataset_invalid", errors=num_errors, rows=num_valid + num_errors)
    return CheckReport(
        valid=problem is None,
        problem=problem.code if problem else None,
        problem_params=dict(problem.params) if problem else {},
        total_lines=num_valid + num_errors,
        valid_lines=num_valid,
        error_count=num_errors,
        errors=tally.errors if tally else [],
        row_schema=tally.row_schema if tally else None,
        columns=tally.columns if tally else {},
        rows=0 if problem else num_valid,
        bytes=came[0],
        sha256=came[1],
        clean_needed=False,
    )


def main() -> None:
    """Judge a file or stdin and print the report as one JSON object; exit 0 whenever it judged."""
    arguments = sys.argv[1:]
    if arguments == [READ_ARGUMENTS]:
        arguments = msgspec.json.decode(sys.stdin.buffer.readline(), type=list[str])
    options = _options(arguments)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    sys.setrecursionlimit(_MAX_DEPTH)
    try:
        with read_plain(options.source) if options.source else sys.stdin.buffer as stream:
            report = check_stream(stream, options)
    except OSError as error:
        print(f"{type(error).__name__}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_NO_ROOM)
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")


def _options(words: Sequence[str]) -> CheckOptions:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", required=True, choices=sorted(_JUDGES))
    parser.add_argument("--schema", default="auto", choices=["auto", *(schema.value for schema in RowSchema)])
    parser.add_argument("--columns", default="{}", help="JSON object: field of the schema to column of the file")
    parser.add_argument("--on-error", default="refuse", choices=["refuse", "skip"])
    parser.add_argument("--source", type=Path, help="judge this file, not stdin")
    parser.add_argument("--spool", type=Path)
    parser.add_argument("--clean", type=Path)
    arguments = parser.parse_args(words)
    return CheckOptions(
        format=arguments.format,
        row_schema=None if arguments.schema == "auto" else RowSchema(arguments.schema),
        columns=msgspec.convert(json.loads(arguments.columns), dict[str, str]),
        skip_bad_rows=arguments.on_error == "skip",
        source=arguments.source,
        spool=arguments.spool,
        clean=arguments.clean,
    )


if __name__ == "__main__":
    main()
