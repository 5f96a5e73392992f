"""Takes in the files of one import: each is checked and cleaned, and lies in `output/` as what is to be kept."""

import hashlib
import json
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from simorgh_shared.child.events import EventLog
from simorgh_shared.child.progress import Progress
from simorgh_shared.datasets.check import CheckOptions, CheckReport, check_stream, place_errors, refusal
from simorgh_shared.datasets.files import TEXT_FORMATS, ImportOptions, format_of, options_of
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.domain.errors import InvalidInputError

_MAX_DEPTH = 500  # as in the gateway's own checks
_ADDRESS_SPACE_BYTES = 1 << 30
_ROOMY_ADDRESS_SPACE_BYTES = 4 << 30  # pyarrow and the decoders of audio reserve far more than they use


@dataclass(frozen=True)
class SentFile:
    """A file as it came, and what its sender said of it."""

    split: str
    path: Path
    filename: str
    bytes: int
    sha256: str | None

    @property
    def format(self) -> str:
        """What it is by its suffix."""
        return format_of(self.filename)


@dataclass(frozen=True)
class TakenFile:
    """What is kept of a file, `output/SPLIT.jsonl`, and what was found."""

    split: str
    row_schema: str
    columns: dict[str, str]
    rows: int
    found: dict[str, Any]
    errors: list[str]


def run_import(folder: Path, events: EventLog) -> None:
    """Check all files of `run.json`, and say what is to be kept.

    Raises: InvalidInputError with the errors by line; nothing is kept then.
    """
    run = json.loads((folder / "run.json").read_bytes())
    options = options_of(run["spec"])
    files = [SentFile(**{**file, "path": folder / file["path"]}) for file in run["inputs"]["files"]]
    _bound_memory(files)
    output = folder / "output"
    output.mkdir()
    progress = Progress(events, "checking", sum(file.bytes for file in files))
    taken = [_take(file, options, output, progress, int(run["spec"]["limit_bytes"])) for file in files]
    progress.tell()
    kinds = [file.row_schema for file in taken]
    if len(set(kinds)) > 1:
        raise InvalidInputError("dataset_splits_differ", train=kinds[0], test=kinds[1])
    events.emit("result", path="output", splits=[asdict(file) for file in taken])


def _take(file: SentFile, options: ImportOptions, output: Path, progress: Progress, limit_bytes: int) -> TakenFile:
    check = CheckOptions(
        format=file.format,  # type: ignore[arg-type]  # one of the type's where it is used
        row_schema=None if options.row_schema == "auto" else RowSchema(options.row_schema),
        columns=options.columns,
        skip_bad_rows=options.on_error == "skip",
        source=file.path,
        clean=output / f"{file.split}.jsonl",
    )
    if f".{file.format}" in TEXT_FORMATS:
        return _take_text(file, check, progress)
    # Here, because pyarrow and the decoders take memory and time that other files have no use for.
    from simorgh_trainer.importing.roomy import take_roomy

    sha256 = file_sha256(file.path)
    require_hash(file, sha256)
    work = output.parent / f"work-{file.split}"
    work.mkdir()
    advance = partial(_advance, progress, file.bytes)
    report, more = take_roomy(file.path, file.format, sha256, check, work, limit_bytes, advance)
    return taken(file, report, more)


def _advance(progress: Progress, num_bytes: int, share: float) -> None:
    progress.add(num_bytes * share)


def _take_text(file: SentFile, check: CheckOptions, progress: Progress) -> TakenFile:
    target = check.clean
    assert target is not None
    with file.path.open("rb") as stream:
        report = check_stream(progress.counted(stream), check)
    require_hash(file, report.sha256)
    if not report.clean_needed and report.valid:
        target.unlink(missing_ok=True)
        os.link(file.path, target)  # the bytes as they came: storage has them already
    return taken(file, report)


def taken(file: SentFile, report: CheckReport, more: Mapping[str, Any] | None = None) -> TakenFile:
    """What is kept of a file that was checked.

    Raises: InvalidInputError where it cannot be used.
    """
    if error := refusal(report, file.split):
        raise error
    found = {
        "total_lines": report.total_lines,
        "error_count": report.error_count,
        "errors": report.errors,
        "source_bytes": report.bytes,
        "source_sha256": report.sha256,
        **(more or {}),
    }
    return TakenFile(
        file.split, report.row_schema or "", report.columns, report.rows, found, place_errors(report, file.split)
    )


def require_hash(file: SentFile, sha256: str) -> None:
    """Whether the file arrived as it was sent.

    Raises: InvalidInputError.
    """
    if file.sha256 is not None and file.sha256 != sha256:
        raise InvalidInputError("upload_hash_mismatch", name=file.filename, found=sha256, expected=file.sha256)


def file_sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bound_memory(files: list[SentFile]) -> None:
    is_plain = all(f".{file.format}" in TEXT_FORMATS for file in files)
    limit = _ADDRESS_SPACE_BYTES if is_plain else _ROOMY_ADDRESS_SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.setrecursionlimit(_MAX_DEPTH)
