"""`simorgh optimizations`: what `simorgh optimize` has begun, and its reports measured again."""

from typing import Any

import click

from simorgh_cli.api import optimizations as calls
from simorgh_cli.commands.optimize import wait, write_report
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.terminal.output import moment, note, say, write_json, write_table
from simorgh_cli.terminal.text import printable

_HEADER = ("JOB", "STATUS", "MADE (UTC)", "PERPLEXITY", "TOKENS/S", "NAME")
_INTERRUPTED = 130
_UNKNOWN = "-"


@click.group(cls=ListingGroup)
def optimizations() -> None:
    """List optimisations, show a report, or measure both of its sides again. Without a command: list them."""


@optimizations.command("list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="At most so many.")
@asks_api
def list_optimizations(invocation: Invocation, limit: int) -> None:
    """The project's optimisations, newest first."""
    with invocation.connected() as connection:
        found = calls.listed(connection, limit)
    if invocation.as_json:
        write_json({"optimizations": found})
        return
    write_table(_HEADER, [_row(one) for one in found], "There are no optimisations yet.")


@optimizations.command()
@click.argument("job_id", metavar="JOB", type=TEXT)
@asks_api
def show(invocation: Invocation, job_id: str) -> None:
    """The report of one, before and after side by side."""
    with invocation.connected() as connection:
        found = calls.get(connection, job_id)
    if invocation.as_json:
        write_json(found)
    elif found["report"] is None:
        error = (found["job"]["error"] or {}).get("message", "its report is not there")
        say(f"{found['job']['status']}: {printable(str(error))}")
    else:
        write_report(found)


@optimizations.command()
@click.argument("job_id", metavar="JOB", type=TEXT)
@asks_api
def check(invocation: Invocation, job_id: str) -> int:
    """Measure both forms of an optimisation again, and show what differs from its report.

    Exit code 1 where a figure that repeats has not: losses, perplexities, bytes, answers. Times and memory are shown.
    """
    with invocation.connected() as connection:
        check_id = calls.check(connection, job_id)
        note(f"This takes a while: job {check_id}.")
        try:
            wait(connection, check_id)
        except KeyboardInterrupt:
            note(f"Left job {check_id} alone: it goes on.")
            return _INTERRUPTED
        found = calls.get(connection, check_id)
    differences = found["differences"]
    if invocation.as_json:
        write_json(found)
    else:
        write_table(("FIGURE", "REPORTED", "FOUND", "DIFFERENCE", ""), [_difference(one) for one in differences], "")
    return 1 if any(one["repeats"] is False for one in differences) else 0


def _row(found: dict[str, Any]) -> tuple[str, ...]:
    job, report = found["job"], found["report"]
    increase = f"{100 * report['gate']['perplexity_increase']:+.2f} %" if report else _UNKNOWN
    speedup = report["gate"]["speedup"] if report else None
    speed = _UNKNOWN if speedup is None else f"{speedup:.2f} times"
    return job["id"], job["status"], moment(job["created_at"]), increase, speed, printable(job["name"])


def _difference(one: dict[str, Any]) -> tuple[str, ...]:
    reported, found = one["reported"], one["found"]
    share = f"{100 * (found / reported - 1):+.2f} %" if reported else _UNKNOWN
    said = {True: "the same", False: "! differs", None: "of the hour"}[one["repeats"]]
    return one["name"], f"{reported:.6g}", f"{found:.6g}", share, said
