"""`simorgh datasets`: uploading, listing, looking at, downloading and deleting."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from simorgh_cli.api import datasets as calls
from simorgh_cli.api import direct as direct_calls
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.dataset_statistics import report, show
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.commands.saving import reason, save
from simorgh_cli.terminal.output import moment, note, say, size, write_json, write_table
from simorgh_cli.terminal.text import printable, whole
from simorgh_shared.datasets.files import JOB_FORMATS, suffix_of
from simorgh_shared.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_DIRECT_FROM_BYTES = 64_000_000
_INTERRUPTED = 130
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=ListingGroup)
def datasets() -> None:
    """Upload, list, look at and delete datasets. Without a command: list them."""


@datasets.command("list")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@asks_api
def list_datasets(invocation: Invocation, limit: int) -> None:
    """The project's datasets, newest first."""
    with invocation.connected() as connection:
        found = calls.listed(connection, limit)
    if invocation.as_json:
        write_json({"datasets": found})
        return
    rows = [
        (
            one["id"],
            f"v{one['version']}",
            one["row_schema"],
            f"{one['rows']:,}",
            size(one["bytes"]),
            moment(one["created_at"]),
            one["name"],
        )
        for one in found
    ]
    write_table(("ID", "VERSION", "KIND", "ROWS", "SIZE", "MADE (UTC)", "NAME"), rows, "There are no datasets yet.")


@datasets.command()
@click.argument("file", type=_FILE)
@click.option("--test", type=_FILE, help="A file with held-out rows of the same kind.")
@click.option("--name", type=TEXT, help="The dataset's name (default: the file's).")
@click.option("--on-error", type=click.Choice(["refuse", "skip"]), help="What becomes of a file with bad rows.")
@click.option("--dataset", "dataset_id", type=TEXT, metavar="NAME", help="Make this the next version of a dataset.")
@click.option(
    "--kind", type=click.Choice(["auto", "qa", "messages", "text", "preference", "audio"]), help="The kind of rows."
)
@click.option("--direct", is_flag=True, help="Send it in parts straight to storage, whatever its size.")
@click.option("--columns", type=TEXT, help='Our fields and yours, such as {"question": "prompt"}.')
@asks_api
def upload(
    invocation: Invocation,
    file: Path,
    test: Path | None,
    kind: str | None,
    columns: str | None,
    direct: bool,
    **named: str | None,
) -> int:
    """Send FILE (.jsonl, .json, .csv, .parquet, .zip or .tar) as a dataset. Bad rows are told by line.

    A large file goes straight to storage in parts. When that is interrupted, the same command goes on where it was.
    """
    files = {"dataset": file} | ({"test": test} if test is not None else {})
    said = {"row_schema": kind, "columns": columns, **named}
    fields = {field: value for field, value in said.items() if value is not None}
    with invocation.connected() as connection:
        jobs: list[str] = []
        if "dataset_id" in fields:
            fields["dataset_id"] = calls.find_id(connection, fields["dataset_id"])
        try:
            made = _upload(connection, files, fields, jobs.append, direct=direct)
        except OSError as error:
            raise InvalidInputError("file_unusable", path=str(file), reason=reason(error)) from error
        except KeyboardInterrupt:
            if jobs:
                note(f"All was sent. Job {jobs[0]} goes on by itself and makes the dataset.")
            else:
                note("Interrupted. A file that goes in parts goes on where it was when you run the same command again.")
            return _INTERRUPTED
    _tell_made(invocation, made)
    return 0


@datasets.command()
@click.argument("dataset", metavar="NAME", type=TEXT)
@click.option("--to", required=True, type=click.Choice(["qa", "messages", "text"]), help="The kind of rows wanted.")
@click.option("--name", type=TEXT, help="The new dataset's name (default: the old one's with the kind).")
@click.option("--on-error", type=click.Choice(["refuse", "skip"]), default="refuse", help="What becomes of bad rows.")
@asks_api
def convert(invocation: Invocation, dataset: str, to: str, name: str | None, on_error: str) -> None:
    """Make a new dataset with rows of another kind, from one by its id or name."""
    body = {"to": to, "name": name, "on_error": on_error}
    with invocation.connected() as connection, _moving("converting", 0) as bar:
        made = direct_calls.convert(
            connection, calls.find_id(connection, dataset), body, direct_calls.Watcher(checked=bar.check)
        )
    _tell_made(invocation, made)


@datasets.command()
@click.argument("dataset", metavar="NAME", type=TEXT)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="So many rows.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out so many rows before them.")
@asks_api
def preview(invocation: Invocation, dataset: str, limit: int, offset: int) -> None:
    """Some rows of a dataset, by its id or name."""
    with invocation.connected() as connection:
        found = calls.preview(connection, calls.find_id(connection, dataset), limit, offset)
    if invocation.as_json:
        write_json(found)
        return
    rows = [(f"{found['offset'] + number}", _as_text(row)) for number, row in enumerate(found["samples"], 1)]
    write_table(("ROW", f"of {found['total']:,}"), rows, "There are no rows there.")


@datasets.command()
@click.argument("dataset", metavar="NAME", type=TEXT)
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; - is standard output.")
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True)
@asks_api
def download(invocation: Invocation, dataset: str, output: str, split: str) -> None:
    """The rows of a dataset, by its id or name, as they are kept: JSON Lines."""
    if output == "-" and invocation.as_json:
        raise click.UsageError("With -o - the rows are the output: leave --json out.")
    with invocation.connected() as connection:
        chunks = calls.download(connection, calls.find_id(connection, dataset), split)
        if output == "-":
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            return
        num_bytes = save(chunks, Path(output))
    if invocation.as_json:
        write_json({"path": whole(output), "bytes": num_bytes})
    else:
        say(f"Wrote {size(num_bytes)} to {whole(output)}.")


@datasets.command()
@click.argument("dataset", metavar="NAME", type=TEXT)
@asks_api
def delete(invocation: Invocation, dataset: str) -> None:
    """Take a dataset away, by its id or name."""
    with invocation.connected() as connection:
        gone = calls.delete(connection, calls.find_id(connection, dataset))
    if invocation.as_json:
        write_json(gone)
    else:
        say(f"Deleted dataset {gone['id']}.")


def _tell_made(invocation: Invocation, made: dict[str, Any]) -> None:
    if invocation.as_json:
        write_json(made)
        return
    was = "" if made["created"] else " (it was there already)"
    what = f"{made['rows']:,} {made['row_schema']} rows"
    say(f"Dataset {printable(made['name'])} ({made['id']}), version {made['version']}: {what}{was}.")
    if made["error_count"]:
        note(f"{made['error_count']:,} rows were left out:")
        for error_line in made["errors"]:
            note(f"  {printable(error_line)}")


def _upload(
    connection: Connection,
    files: Mapping[str, Path],
    fields: Mapping[str, str],
    queued: Callable[[str], None],
    *,
    direct: bool,
) -> dict[str, Any]:
    """In one request, or where that is better in parts."""
    num_bytes = sum(path.stat().st_size for path in files.values())
    needs_job = any(suffix_of(path.name) in JOB_FORMATS for path in files.values())
    if num_bytes and (direct or needs_job or num_bytes > _DIRECT_FROM_BYTES):
        options: dict[str, Any] = dict(fields)
        if "columns" in fields:
            options["columns"] = _as_columns(fields["columns"])
        with _moving("uploading", num_bytes) as bar:
            watcher = direct_calls.Watcher(bar.advance, bar.check, queued)
            return direct_calls.upload(connection, list(files.values()), options, watcher)
    with _moving("uploading", num_bytes) as bar:
        return calls.upload(connection, files, fields, bar.advance)


def _as_columns(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter("It is no JSON object.", param_hint="--columns") from error


class _Bar:
    """A bar on standard error where that is a terminal: bytes that went, then bytes that were checked."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self._progress, self._task = progress, task

    def advance(self, num_bytes: int) -> None:
        """So many more went."""
        self._progress.advance(self._task, num_bytes)

    def check(self, num_bytes: int, total: int) -> None:
        """So many of all are read by a job."""
        self._progress.update(self._task, description="checking", completed=num_bytes, total=total)


@contextmanager
def _moving(what: str, num_bytes: int) -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, progress.add_task(what, total=num_bytes))


def _as_text(row: dict[str, Any]) -> str:
    if "question" in row:
        return f"{row['question']} | {row['answer']}"
    if "messages" in row:
        return " | ".join(f"{message['role']}: {message['content']}" for message in row["messages"])
    if "chosen" in row:
        return f"{row['prompt']} | + {row['chosen']} | - {row['rejected']}"
    if "clip" in row:
        return f"{row['file_name']} ({row['duration_s']:.1f} s) | {row['text']}"
    return str(row.get("text") or json.dumps(row, ensure_ascii=False))


datasets.add_command(show)
datasets.add_command(report)
