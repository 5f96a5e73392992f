"""Converts the files of a version line by line, in constant memory."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from simorgh_shared.child.events import EventLog
from simorgh_shared.child.progress import Progress
from simorgh_shared.datasets.convert import CONVERSIONS, Converter
from simorgh_shared.datasets.rows import BOM, Row, RowSchema, typed_decoder
from simorgh_shared.datasets.tally import Tally
from simorgh_shared.domain.errors import InvalidInputError

_ROWS_AT_ONCE = 1_000


def run_conversion(folder: Path, events: EventLog) -> None:
    """Convert every split of `run.json` into `output/`.

    Raises: InvalidInputError with the errors by line; nothing is kept then.
    """
    run = json.loads((folder / "run.json").read_bytes())
    spec, dataset = run["spec"], run["inputs"]["dataset"]
    source, target = RowSchema(dataset["row_schema"]), RowSchema(spec["to"])
    decoder = typed_decoder(source, dataset["columns"])
    output = folder / "output"
    output.mkdir()
    files = {split: folder / path for split, path in dataset["files"].items()}
    progress = Progress(events, "converting", sum(path.stat().st_size for path in files.values()))
    splits = []
    for split, path in files.items():
        with (output / f"{split}.jsonl").open("wb") as sink:
            tally = Tally(target, {}, sink)
            num_rows = _convert(_lines(path, progress), decoder, CONVERSIONS[source, target], tally)
        splits.append(_judged(split, num_rows, tally, skip=spec["on_error"] == "skip"))
    progress.tell()
    events.emit("result", path="output", splits=splits)


def _lines(path: Path, progress: Progress) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            progress.add(len(line))
            row = line.removeprefix(BOM) if number == 1 else line
            if not row.isspace():
                yield number, row


def _convert(
    lines: Iterator[tuple[int, bytes]], decoder: msgspec.json.Decoder[Row], converter: Converter, tally: Tally
) -> int:
    """Convert what can be converted; the number of rows that there were."""
    num_rows = 0
    made: list[Row] = []
    for number, line in lines:
        num_rows += 1
        try:
            made += converter(decoder.decode(line))
        except (ValueError, RecursionError) as error:
            tally.refuse(f"Line {number}", str(error))
        if len(made) >= _ROWS_AT_ONCE:
            tally.take(made)
            made = []
    tally.take(made)
    return num_rows


def _judged(split: str, num_rows: int, tally: Tally, *, skip: bool) -> dict[str, Any]:
    """What is kept of a split.

    Raises: InvalidInputError where rows cannot be converted and are not to be left out.
    """
    errors = tally.errors if split == "train" else [f"{split}: {error}" for error in tally.errors]
    if tally.num_errors and (not skip or not tally.num_valid):
        data = {"split": split, "total_lines": num_rows, "error_count": tally.num_errors}
        raise InvalidInputError(
            "conversion_failed", details=errors, data=data, retry_after_s=None, errors=tally.num_errors, rows=num_rows
        )
    found = {"total_lines": num_rows, "error_count": tally.num_errors, "errors": tally.errors}
    return {
        "split": split,
        "row_schema": tally.row_schema.value,
        "columns": tally.columns,
        "rows": tally.num_valid,
        "found": found,
        "errors": errors,
    }
