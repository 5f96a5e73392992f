"""Owns the calls about training runs: starting, steering, looking, following."""

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import CutError, LostError, RefusedError
from simorgh_cli.api.events import ServerEvent, read_events
from simorgh_shared.domain.errors import AppError, InvalidInputError, NotFoundError
from simorgh_shared.domain.jobs import RESTING, TERMINAL

_NEWEST = 50  # of these a run may be named by its name
_RECONNECT_S = 0.5
_SILENCE_S = 45.0  # a comment comes every 15 s


def start(connection: Connection, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Start a run. A connection that breaks is tried once more, with a key by which no second run begins."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    try:
        return _run(connection.call("POST", "/api/train/start", spec, headers=headers))
    except CutError:
        return _run(connection.call("POST", "/api/train/start", spec, headers=headers))


def get(connection: Connection, run_id: str | None = None) -> dict[str, Any]:
    """A run as it is now; without an id the newest active one."""
    return _run(connection.get("/api/train/status", runId=run_id))


def find_id(connection: Connection, named: str) -> str:
    """The id of a run: this one itself, or that of the one run of this name among the newest.

    Raises: NotFoundError where there is none, InvalidInputError where several have the name.
    """
    try:
        return str(get(connection, named)["runId"])
    except RefusedError as error:
        if error.code != "job_not_found":
            raise
        fitting = [str(run["runId"]) for run in listed(connection, _NEWEST) if run["name"] == named]
        if not fitting:
            raise NotFoundError("run_unknown", run=named, newest=_NEWEST) from error
    if len(fitting) > 1:
        ids = ", ".join(fitting)
        raise InvalidInputError("run_ambiguous", count=len(fitting), run=named, newest=_NEWEST, ids=ids)
    return fitting[0]


def listed(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The project's runs, newest first."""
    return connection.pages("/api/train/runs", limit)


def newest_saved(connection: Connection) -> tuple[str, list[dict[str, Any]]] | None:
    """The newest run that has saved states, with these; None where none of the newest runs has any."""
    for run in listed(connection, _NEWEST):
        if run["checkpointId"] is not None:
            run_id = str(run["runId"])
            if found := checkpoints(connection, run_id):
                return run_id, found
    return None


def spec(connection: Connection, run_id: str) -> dict[str, Any]:
    """The parameters that a run was started with."""
    found: dict[str, Any] = _run(connection.get(f"/api/jobs/{quoted(run_id)}"))["spec"]
    return found


def newest(connection: Connection) -> dict[str, Any]:
    """The newest active run, or where none is active the newest one."""
    try:
        return get(connection)
    except RefusedError as error:
        if error.code != "no_active_run":
            raise
        found = listed(connection, 1)
        if not found:
            raise
        return found[0]


def ask(connection: Connection, verb: str, run_id: str | None = None) -> dict[str, Any]:
    """Pause, resume, stop, cancel a run, or have it save a checkpoint."""
    return _run(connection.call("POST", f"/api/train/{verb}", {} if run_id is None else {"runId": run_id}))


def checkpoints(connection: Connection, run_id: str) -> list[dict[str, Any]]:
    """The saved states of a run, newest first."""
    found: list[dict[str, Any]] = connection.get("/api/train/checkpoints", runId=run_id)["data"]
    return found


def logs(connection: Connection, run_id: str) -> Iterator[str]:
    """What happened, a line an event."""
    cursor: int | None = 0
    while cursor is not None:
        part = connection.get("/api/train/logs", runId=run_id, cursor=cursor)
        yield from part["data"]
        cursor = part["next_cursor"]


def results(connection: Connection, run_id: str) -> dict[str, Any]:
    """What a run has brought."""
    return _run(connection.get(f"/api/training/jobs/{quoted(run_id)}/results"))


def report(connection: Connection, run_id: str) -> Iterator[bytes]:
    """The same as a page."""
    with connection.opened("GET", f"/api/training/jobs/{quoted(run_id)}/report", dict) as answer:
        yield from answer.iter_bytes()


def follow(
    connection: Connection,
    run_id: str,
    on_loss: Callable[[AppError], None] = lambda _error: None,
    give_up_s: float = 60.0,
) -> Iterator[ServerEvent]:
    """The run's events from its first one until it ends or rests. A cut stream goes on where it was cut.

    Raises: LostError, RefusedError when nothing answers for too long.
    """
    last_id, rests, lost_at = "", False, None
    while True:
        try:
            if rests and _is_last(connection, run_id, last_id):
                return
            with closing(_events(connection, run_id, last_id)) as events:
                for event in events:
                    lost_at, last_id = None, event.event_id or last_id
                    yield event
                    rests = event.name in RESTING
                    if event.name in TERMINAL or (rests and _is_last(connection, run_id, last_id)):
                        return
        except (LostError, RefusedError) as error:
            now = time.monotonic()
            lost_at = lost_at or now
            if (isinstance(error, RefusedError) and not error.may_pass) or now - lost_at > give_up_s:
                raise
            on_loss(error)
        time.sleep(_RECONNECT_S)


def _events(connection: Connection, run_id: str, last_id: str) -> Generator[ServerEvent, None, None]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
    asked = {"params": {"runId": run_id}, "headers": headers}
    with connection.opened("GET", "/api/train/stream", lambda: asked, silence_s=_SILENCE_S) as answer:
        yield from read_events(answer.iter_lines())


def _is_last(connection: Connection, run_id: str, last_id: str) -> bool:
    """Whether nothing happened since: a run that was paused once may have gone on long ago."""
    return not connection.get(f"/api/jobs/{quoted(run_id)}/events", cursor=last_id, limit=1)["data"]


def _run(body: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = body["data"]
    return data
