"""`simorgh datasets show` and `report`: a dataset, and what is known of it."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from simorgh_cli.api import datasets as calls
from simorgh_cli.api.connection import Connection
from simorgh_cli.commands.dataset_findings import counted, findings
from simorgh_cli.commands.options import TEXT, Invocation, asks_api
from simorgh_cli.commands.saving import save
from simorgh_cli.terminal.output import moment, note, say, size, write_fields, write_json
from simorgh_cli.terminal.text import printable, whole

_ASK_EVERY_S = 1.0


@click.command()
@click.argument("dataset", metavar="NAME", type=TEXT)
@click.option("--wait", is_flag=True, help="Wait until the statistics are ready.")
@asks_api
def show(invocation: Invocation, dataset: str, wait: bool) -> int | None:
    """One dataset by its id or name, with what is known of it: duplicates, leaks, personal data."""
    with invocation.connected() as connection:
        found = calls.find(connection, dataset)
        if wait:
            found = _understood(connection, found)
        known = None
        if found["statistics"]["status"] == "ready" and not invocation.as_json:
            known = calls.statistics(connection, found["id"], found["version"])
    if invocation.as_json:
        write_json(found)
    else:
        _write(found, known)
        if known is not None:
            named = shlex.quote(printable(dataset))
            say(f"All that is kept of these places: simorgh datasets report {named} -o FILE.html")
    return 1 if wait and found["statistics"]["status"] == "failed" else None


@click.command()
@click.argument("dataset", metavar="NAME", type=TEXT)
@click.option("-o", "--output", required=True, metavar="FILE", help="Where to; - is standard output.")
@asks_api
def report(invocation: Invocation, dataset: str, output: str) -> None:
    """A page with all that is known of a dataset, for a browser; it waits until the statistics are ready."""
    if output == "-" and invocation.as_json:
        raise click.UsageError("With -o - the page is the output: leave --json out.")
    with invocation.connected() as connection:
        found = _understood(connection, calls.find(connection, dataset))
        chunks = calls.report(connection, found["id"])
        if output == "-":
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            return
        num_bytes = save(chunks, Path(output))
    if invocation.as_json:
        write_json({"path": whole(output), "bytes": num_bytes})
    else:
        say(f"Wrote {size(num_bytes)} to {whole(output)}.")


def _understood(connection: Connection, found: dict[str, Any]) -> dict[str, Any]:
    """The dataset once its statistics are ready or have failed."""
    told = None
    while found["statistics"]["status"] in ("queued", "running"):
        if found["statistics"]["status"] != told:
            told = found["statistics"]["status"]
            note(f"The statistics are {told}; waiting.")
        time.sleep(_ASK_EVERY_S)
        found = calls.get(connection, found["id"])
    return found


def _write(found: dict[str, Any], whole_of_it: dict[str, Any] | None) -> None:
    splits = [f"{split['split']}: {counted(split['rows'], 'row')}, {size(split['bytes'])}" for split in found["splits"]]
    known = found["statistics"]
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
            **(_figures(known["summary"], whole_of_it) if whole_of_it else {"statistics": _status(known)}),
        }
    )
    for warning in known["summary"]["warnings"] if known["summary"] else ():
        note(f"! {printable(warning)}")


def _status(known: dict[str, Any]) -> str:
    done = f", {known['progress']:.0%} done" if known["progress"] else ""
    return f"{known['status']}{done}" + (f": {known['error']}" if known["error"] else "")


def _figures(summary: dict[str, Any], known: dict[str, Any]) -> dict[str, str]:
    shares = [(one["language"].replace("_", " "), f"{one['share']:.1%}") for one in summary["languages"]]
    return {
        "characters": f"{summary['characters']:,}",
        "tokens": f"{summary['tokens']:,} by {summary['tokenizer']}" if summary["tokens"] is not None else "",
        "languages": ", ".join(f"{name} {share}" for name, share in shares if share != "0.0%"),
        **findings(known),
    }
