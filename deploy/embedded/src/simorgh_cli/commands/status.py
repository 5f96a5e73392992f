"""`simorgh status`: the processes of a platform here, or the parts and active jobs of one elsewhere."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import psutil

from simorgh_cli import lock
from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import LostError, body_of
from simorgh_cli.commands.options import Invocation, asks_api
from simorgh_cli.platform import endpoints_file
from simorgh_cli.terminal.output import moment, note, say, write_json, write_table
from simorgh_shared.domain.errors import AppError, UnauthenticatedError
from simorgh_shared.domain.jobs import JobStatus

_SHOWN = (JobStatus.RUNNING, JobStatus.WAITING, JobStatus.QUEUED)
_MAX_JOBS = 50
_RESTARTING = "restarting"


@click.command()
@asks_api
def status(invocation: Invocation) -> int:
    """Show the processes of the platform of the data folder, and its active jobs; 1 where none runs.

    For a platform elsewhere (--url, or the one you are signed in at): its parts and its active jobs.
    """
    if invocation.url is None and (lock.is_held(invocation.data_dir) or invocation.data_given):
        return _local(invocation, invocation.data_dir)
    login = invocation.logins.current()
    if invocation.url is None and (login is None or login.data_dir is not None):
        return _local(invocation, Path(login.data_dir) if login and login.data_dir else invocation.data_dir)
    return _remote(invocation)


def ask_parts(connection: Connection) -> dict[str, str]:
    """Each part of the platform and how it is: `ok`, or what is wrong.

    Raises: LostError when the API does not answer, RefusedError when something else answers there.
    """
    answer = connection.ask_anonymously("GET", "/readyz")
    told = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    parts = told.get("data", {}).get("parts") if isinstance(told, dict) else None
    if not isinstance(parts, dict):
        body_of(answer)
        raise LostError("api_unreachable", url=connection.url, reason="what answers there is no Simorgh API")
    return {str(name): str(state) for name, state in parts.items()}


def _local(invocation: Invocation, data_dir: Path) -> int:
    folder = data_dir.resolve()
    if not lock.is_held(data_dir):
        if invocation.as_json:
            write_json({"running": False, "data_dir": str(folder)})
        else:
            say(f"Nothing runs on {folder}.")
        return 1
    if not endpoints_file(data_dir).exists():
        pid = lock.read_holder(data_dir).get("pid")
        if invocation.as_json:
            write_json({"running": False, "starting": True, "data_dir": str(folder), "pid": pid})
        else:
            say(f"Simorgh is starting on {folder} (pid {pid}).")
        return 0
    known = json.loads(endpoints_file(data_dir).read_text())
    processes, jobs = _processes(known), _active_jobs(invocation)
    if invocation.as_json:
        write_json({"running": True, "data_dir": str(folder), **known, "processes": processes, "jobs": jobs})
        return 0
    say(f"API        {known['api_url']}  (documentation: {known['docs_url']})")
    say(f"supervisor pid {known['pid']}")
    for process in processes:
        say(_line(process))
    _write_jobs(jobs)
    return 0


def _processes(known: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of the platform's own table. What they have started is theirs, and shown by nobody."""
    return [{"name": name, **_looked_at(pid, known["pid"])} for name, pid in known["processes"].items()]


def _looked_at(pid: int | None, supervisor_pid: int) -> dict[str, Any]:
    if pid is not None:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            state = process.status()
            if process.ppid() == supervisor_pid and state != psutil.STATUS_ZOMBIE:
                return {"pid": pid, "status": state, "memory_bytes": process.memory_info().rss}
    return {"pid": None, "status": _RESTARTING, "memory_bytes": 0}


def _line(process: dict[str, Any]) -> str:
    if process["pid"] is None:
        return f"{process['name']:<12} {process['status']} (its log says why it ended)"
    memory_mb = process["memory_bytes"] // 1_000_000
    return f"{process['name']:<12} pid {process['pid']:<8} {process['status']:<10} {memory_mb} MB"


def _remote(invocation: Invocation) -> int:
    place = invocation.place()
    with Connection(place.url) as anonymous:
        parts = ask_parts(anonymous)
    jobs = _active_jobs(invocation)
    is_ready = all(state == "ok" for name, state in parts.items() if name != "broker")
    if invocation.as_json:
        write_json({"url": place.url, "ready": is_ready, "parts": parts, "jobs": jobs})
        return 0 if is_ready else 1
    say(f"API {place.url}")
    for name, state in parts.items():
        say(f"  {name:<12} {state}")
    _write_jobs(jobs)
    return 0 if is_ready else 1


def _active_jobs(invocation: Invocation) -> list[dict[str, Any]] | None:
    """The jobs that have not ended; None, and a word about it, where they cannot be asked for."""
    try:
        with invocation.connected() as connection:
            return [job for state in _SHOWN for job in connection.pages("/api/jobs", _MAX_JOBS, status=state)]
    except UnauthenticatedError:
        note("Sign in to see the active jobs: simorgh login")
    except AppError as error:
        note(str(error))
    return None


def _write_jobs(jobs: list[dict[str, Any]] | None) -> None:
    if jobs is None:
        return
    rows = [
        (job["id"], job["type"], job["status"], f"{job['step'] or ''}", moment(job["created_at"]), job["name"])
        for job in jobs
    ]
    write_table(("JOB", "TYPE", "STATUS", "STEP", "MADE (UTC)", "NAME"), rows, "No job is active.")
