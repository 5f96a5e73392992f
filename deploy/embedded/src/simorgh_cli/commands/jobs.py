"""`simorgh jobs`: work of every kind, listed, cancelled, and what it used."""

from typing import Any

import click

from simorgh_cli.api import jobs as calls
from simorgh_cli.commands.options import TEXT, Invocation, ListingGroup, asks_api
from simorgh_cli.terminal.hearing import clock
from simorgh_cli.terminal.output import moment, note, say, write_fields, write_json, write_table
from simorgh_shared.domain.jobs import JobStatus, JobType

_HEADER = ("JOB", "TYPE", "STATUS", "PROGRESS", "MADE (UTC)", "NAME")


@click.group(cls=ListingGroup)
def jobs() -> None:
    """List and cancel jobs of every kind, and see what they used. Without a command: list them."""


@jobs.command("list")
@click.option("--type", "kind", type=click.Choice([str(kind) for kind in JobType]), help="Of one kind alone.")
@click.option("--status", type=click.Choice([str(status) for status in JobStatus]), help="In one state alone.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@asks_api
def list_jobs(invocation: Invocation, kind: str | None, status: str | None, limit: int) -> None:
    """The project's jobs, newest first."""
    with invocation.connected() as connection:
        found = calls.listed(connection, limit, kind, status)
    if invocation.as_json:
        write_json({"jobs": found})
        return
    rows = [
        (job["id"], job["type"], job["status"], _progress(job), moment(job["created_at"]), job["name"]) for job in found
    ]
    write_table(_HEADER, rows, "There are no such jobs." if kind or status else "There are no jobs yet.")


@jobs.command()
@click.argument("job_id", metavar="JOB", type=TEXT)
@asks_api
def cancel(invocation: Invocation, job_id: str) -> None:
    """End a job without saving; nothing of it stays."""
    with invocation.connected() as connection:
        job = calls.cancel(connection, job_id)
    if invocation.as_json:
        write_json(job)
    elif job["status"] == JobStatus.CANCELLED:
        say(f"Job {job['id']} is cancelled.")
    else:
        say(f"Job {job['id']} is being cancelled: it is {job['status']}.")


@jobs.command()
@click.argument("job_id", metavar="JOB", type=TEXT)
@asks_api
def usage(invocation: Invocation, job_id: str) -> None:
    """What a job used: processor time, devices and energy of all its attempts, and what that costs."""
    with invocation.connected() as connection:
        found = calls.usage(connection, job_id)
    if invocation.as_json:
        write_json(found)
        return
    total = found["total"]
    if total is None:
        note("Nothing was measured yet: no attempt has begun.")
        return
    write_fields(
        {
            "attempts": len(found["attempts"]),
            "time": clock(total["wall_s"]),
            "processor time": clock(total["cpu_seconds"]),
            "device time": clock(total["device_seconds"]) if total["devices"] else None,
            "energy": f"{total['energy_joules'] / 3_600:.2f} Wh{' (estimated)' if total['estimate'] else ''}",
            "cost": _cost(total["cost"]),
            "complete": "yes" if found["complete"] else "no: an attempt runs, or was not measured",
        }
    )


def _cost(cost: dict[str, Any] | None) -> str | None:
    return None if cost is None else f"{cost['total']:.4f} {cost['currency']}"


def _progress(job: dict[str, Any]) -> str:
    if job["step"] is not None:
        return f"{job['step']} of {job['total_steps']}" if job["total_steps"] else str(job["step"])
    progress = job["progress"] or {}
    if progress.get("audio_s") is not None and progress.get("total_s"):
        return f"{clock(progress['audio_s'])} of {clock(progress['total_s'])}"
    return str(progress.get("phase") or "")
