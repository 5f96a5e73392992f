"""The one resource for every kind of job (R-JOB-1)."""

from typing import Annotated, Any

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from simorgh_api.deps import DbSession, Notify, Reader, Sessions, Writer
from simorgh_api.streams import follow
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs as usecase
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.jobs import DesiredState
from simorgh_shared.queue import control
from simorgh_shared.queue.channels import NOTIFY_CONTROL, NOTIFY_JOBS
from simorgh_shared.schemas.jobs import PriorityBody

router = native_router("/jobs", "jobs")
_ACTIONS = {
    "cancel": DesiredState.CANCEL,
    "pause": DesiredState.PAUSE,
    "resume": DesiredState.RUN,
    "stop": DesiredState.STOP,
}
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


@router.get("", operation_id="list_jobs")
def list_jobs(
    session: DbSession,
    principal: Reader,
    type: str | None = None,
    status: str | None = None,
    tag: str | None = None,
    text: str | None = None,
    experiment: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The project's jobs, newest first."""
    wanted = usecase.JobFilter(type, status, tag, text, experiment)
    found, more = usecase.jobs(session, principal.project_id, wanted, limit, cursor)
    return {"ok": True, "data": found, "next_cursor": more}


@router.get("/{job_id}", operation_id="get_job")
def get_job(session: DbSession, principal: Reader, job_id: str) -> dict[str, Any]:
    """One job."""
    return {"ok": True, "data": usecase.job(session, principal.project_id, job_id)}


@router.get("/{job_id}/events", operation_id="list_job_events")
def list_events(
    session: DbSession,
    principal: Reader,
    job_id: str,
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Events beyond `after`, in order."""
    usecase.job(session, principal.project_id, job_id)
    found = usecase.events(session, job_id, after, limit)
    return {"ok": True, "data": found, "next_cursor": found[-1].seq if len(found) == limit else None}


@router.get("/{job_id}/stream", operation_id="stream_job")
async def stream_job(
    request: Request,
    sessions: Sessions,
    principal: Reader,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Events as they happen (SSE); `Last-Event-ID` goes on without a gap."""
    return await sse(request, sessions, principal.project_id, job_id, last_event_id)


@router.post("/{job_id}/checkpoint", operation_id="checkpoint_job")
def checkpoint_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> dict[str, Any]:
    """Ask a running job to save now."""
    control.request_checkpoint(session, principal.project_id, job_id)
    notify(NOTIFY_CONTROL, job_id)
    return {"ok": True, "data": usecase.job(session, principal.project_id, job_id)}


@router.post("/{job_id}/priority", operation_id="set_job_priority")
def set_priority(session: DbSession, principal: Writer, job_id: str, body: PriorityBody) -> dict[str, Any]:
    """Move a job before or behind others."""
    control.set_priority(session, principal.project_id, job_id, body.priority)
    return {"ok": True, "data": usecase.job(session, principal.project_id, job_id)}


@router.post("/{job_id}/{action}", operation_id="control_job")
def control_job(session: DbSession, principal: Writer, notify: Notify, job_id: str, action: str) -> dict[str, Any]:
    """`cancel`, `pause`, `resume` or `stop` a job."""
    act(session, principal.project_id, notify, job_id, action)
    return {"ok": True, "data": usecase.job(session, principal.project_id, job_id)}


@router.delete("/{job_id}", operation_id="delete_job")
def delete_job(session: DbSession, principal: Writer, job_id: str) -> dict[str, Any]:
    """Take an ended job off the lists; its model and lineage stay."""
    usecase.hide(session, principal.project_id, job_id)
    return {"ok": True, "data": {"id": job_id, "deleted": True}}


def act(session: DbSession, project_id: str, notify: Notify, job_id: str, action: str) -> None:
    """Ask for a state, and tell the dispatcher after the commit."""
    if action not in _ACTIONS:
        known = ", ".join([*_ACTIONS, "checkpoint", "priority"])
        raise InvalidInputError("unknown_parameter", name=action, known=known)
    control.request(session, project_id, job_id, _ACTIONS[action])
    notify(NOTIFY_CONTROL, job_id)
    if action == "resume":
        notify(NOTIFY_JOBS, "")


async def sse(
    request: Request, sessions: Sessions, project_id: str, job_id: str, last_event_id: str | None
) -> StreamingResponse:
    """A stream of one job's events."""
    after = last_event_id or request.query_params.get("last_event_id") or "0"
    if not after.isdecimal():
        raise InvalidInputError("invalid_parameter", name="Last-Event-ID", value=after[:40], reason="it is no number")

    def check() -> None:
        with sessions() as session:
            usecase.job(session, project_id, job_id)

    await run_in_threadpool(check)
    lines = follow(sessions, request.app.state.broadcast, job_id, int(after), request.is_disconnected)
    return StreamingResponse(lines, media_type="text/event-stream", headers=SSE_HEADERS)
