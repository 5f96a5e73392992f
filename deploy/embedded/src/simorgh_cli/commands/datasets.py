"""`simorgh datasets`: uploading, listing, looking at, downloading and deleting."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import datasets as calls
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.terminal.output import moment, note, say, size, write_fields, write_json, write_table
from simorgh_cli.terminal.text import printable, whole
from simorgh_shared.domain.errors import InvalidInputError

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
@click.option("--dataset", "dataset_id", type=TEXT, metavar="ID", help="Make this the next version of a dataset.")
@click.option("--kind", type=click.Choice(["auto", "qa", "messages", "text"]), help="The kind of rows.")
@click.option("--columns", type=TEXT, help='Our fields and yours, such as {"question": "prompt"}.')
@asks_api
def upload(
    invocation: Invocation, file: Path, test: Path | None, kind: str | None, columns: str | None, **named: str | None
) -> None:
    """Send FILE (.jsonl, .json or .csv) as a dataset. Bad rows are told by line."""
    files = {"dataset": file} | ({"test": test} if test is not None else {})
    said = {"row_schema": kind, "columns": columns, **named}
    fields = {field: value for field, value in said.items() if value is not None}
    num_bytes = sum(path.stat().st_size for path in files.values())
    with invocation.connected() as connection, _moving("uploading", num_bytes) as moved:
        try:
            made = calls.upload(connection, files, fields, moved)
        except OSError as error:
            raise InvalidInputError("file_unusable", path=str(file), reason=_reason(error)) from error
    if invocation.as_json:
        write_json(made)
        return
    was = "" if made["created"] else " (it was there already)"
    say(f"Dataset {made['id']}, version {made['version']}: {made['rows']:,} {made['row_schema']} rows{was}.")
    if made["error_count"]:
        note(f"{made['error_count']:,} rows were left out:")
        for error_line in made["errors"]:
            note(f"  {printable(error_line)}")


@datasets.command()
@click.argument("dataset_id", metavar="ID", type=TEXT)
@asks_api
def show(invocation: Invocation, dataset_id: str) -> None:
    """One dataset."""
    with invocation.connected() as connection:
        found = calls.get(connection, dataset_id)
    if invocation.as_json:
        write_json(found)
        return
    splits = [f"{split['split']}: {split['rows']:,} rows, {size(split['bytes'])}" for split in found["splits"]]
    write_fields(
        {
            "id": found["id"],
            "name": found["name"],
            "version": f"{found['version']} ({found['version_id']})",
            "kind": found["row_schema"],
            "columns": ", ".join(f"{ours} = {theirs}" for ours, theirs in found["columns"].items()),
            "splits": "; ".join(splits),
            "sha256": found["sha256"],
            "made": moment(found["created_at"]),
        }
    )


@datasets.command()
@click.argument("dataset_id", metavar="ID", type=TEXT)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="So many rows.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out so many rows before them.")
@asks_api
def preview(invocation: Invocation, dataset_id: str, limit: int, offset: int) -> None:
    """Some rows of a dataset."""
    with invocation.connected() as connection:
        found = calls.preview(connection, dataset_id, limit, offset)
    if invocation.as_json:
        write_json(found)
        return
    rows = [(f"{found['offset'] + number}", _as_text(row)) for number, row in enumerate(found["samples"], 1)]
    write_table(("ROW", f"of {found['total']:,}"), rows, "There are no rows there.")


@datasets.command()
@click.argument("dataset_id", metavar="ID", type=TEXT)
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; - is standard output.")
@click.option("--split", type=click.Choice(["train", "test"]), default="train", show_default=True)
@asks_api
def download(invocation: Invocation, dataset_id: str, output: str, split: str) -> None:
    """The rows as they are kept, as JSON Lines."""
    if output == "-" and invocation.as_json:
        raise click.UsageError("With -o - the rows are the output: leave --json out.")
    with invocation.connected() as connection:
        chunks = calls.download(connection, dataset_id, split)
        if output == "-":
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            return
        num_bytes = _save(chunks, Path(output))
    if invocation.as_json:
        write_json({"path": whole(output), "bytes": num_bytes})
    else:
        say(f"Wrote {size(num_bytes)} to {whole(output)}.")


@datasets.command()
@click.argument("dataset_id", metavar="ID", type=TEXT)
@asks_api
def delete(invocation: Invocation, dataset_id: str) -> None:
    """Take a dataset away."""
    with invocation.connected() as connection:
        gone = calls.delete(connection, dataset_id)
    if invocation.as_json:
        write_json(gone)
    else:
        say(f"Deleted dataset {gone['id']}.")


def _save(chunks: Iterator[bytes], path: Path) -> int:
    """Write beside the file and put it in place when it is whole."""
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as file:
            num_bytes = sum(file.write(chunk) for chunk in chunks)
        partial.replace(path)
    except OSError as error:
        raise InvalidInputError("file_unusable", path=str(path), reason=_reason(error)) from error
    finally:
        partial.unlink(missing_ok=True)
    return num_bytes


@contextmanager
def _moving(what: str, num_bytes: int) -> Iterator[calls.Moved]:
    """A bar on standard error where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=num_bytes)
        yield lambda count: progress.advance(task, count)


def _as_text(row: dict[str, Any]) -> str:
    if "question" in row:
        return f"{row['question']} | {row['answer']}"
    if "messages" in row:
        return " | ".join(f"{message['role']}: {message['content']}" for message in row["messages"])
    return str(row.get("text") or json.dumps(row, ensure_ascii=False))


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
