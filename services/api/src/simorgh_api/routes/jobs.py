"""The one resource for every kind of job (R-JOB-1)."""

from typing import Annotated

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from simorgh_api.deps import Cursor, DbSession, Limit, Notify, Reader, Sessions, StreamWatcher, Writer
from simorgh_api.streams import SSE_HEADERS, follow
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs as usecase
from simorgh_api.usecases import quotas
from simorgh_api.usecases.job_usage import job_usage
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.jobs import DesiredState, JobStatus, JobType
from simorgh_shared.queue import control
from simorgh_shared.queue.channels import NOTIFY_CONTROL, NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer, Deleted, Page
from simorgh_shared.schemas.job_usage import JobUsage
from simorgh_shared.schemas.jobs import EventPage, JobView, PriorityBody

router = native_router("/jobs", "jobs")
LastEventId = Annotated[str | None, Header(description="The id of the last event that was seen.")]
After = Annotated[int, Query(ge=0, le=2**62, description="The `next_cursor` of the part before.")]


@router.get("", operation_id="list_jobs")
def list_jobs(
    session: DbSession,
    principal: Reader,
    type: JobType | None = None,
    status: JobStatus | None = None,
    tag: str | None = None,
    text: Annotated[str | None, Query(description="A part of the name, or an id.")] = None,
    experiment: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobView]:
    """The project's jobs, newest first."""
    wanted = usecase.JobFilter(type, status, tag, text, experiment)
    found, more = usecase.jobs(session, principal.project_id, wanted, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.get("/{job_id}", operation_id="get_job")
def get_job(session: DbSession, principal: Reader, job_id: str) -> Answer[JobView]:
    """One job."""
    return Answer(data=usecase.job(session, principal.project_id, job_id))


@router.get("/{job_id}/usage", operation_id="get_job_usage")
def get_job_usage(session: DbSession, principal: Reader, job_id: str) -> Answer[JobUsage]:
    """What a job used: processor time, devices and energy of its attempts, and what that costs."""
    return Answer(data=job_usage(session, principal.project_id, job_id))


@router.get("/{job_id}/events", operation_id="list_job_events")
def list_events(
    session: DbSession,
    principal: Reader,
    job_id: str,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    cursor: After = 0,
) -> EventPage:
    """A job's events in order, from the first one."""
    usecase.job(session, principal.project_id, job_id)
    found = usecase.events(session, job_id, cursor, limit)
    return EventPage(data=found, next_cursor=found[-1].seq if len(found) == limit else None)


@router.get("/{job_id}/stream", operation_id="stream_job", response_class=StreamingResponse)
async def stream_job(
    request: Request, sessions: Sessions, watcher: StreamWatcher, job_id: str, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Events as they happen (SSE); `Last-Event-ID` goes on without a gap."""
    return await sse(request, sessions, watcher, job_id, last_event_id)


@router.post("/{job_id}/cancel", operation_id="cancel_job")
def cancel_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[JobView]:
    """End a job without saving; nothing of it stays."""
    return Answer(data=act(session, principal.project_id, notify, job_id, DesiredState.CANCEL))


@router.post("/{job_id}/pause", operation_id="pause_job")
def pause_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[JobView]:
    """Save, and let the device go until it is resumed."""
    return Answer(data=act(session, principal.project_id, notify, job_id, DesiredState.PAUSE))


@router.post("/{job_id}/resume", operation_id="resume_job")
def resume_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[JobView]:
    """Go on from the last checkpoint of a paused or stopped job."""
    return Answer(data=act(session, principal.project_id, notify, job_id, DesiredState.RUN))


@router.post("/{job_id}/stop", operation_id="stop_job")
def stop_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[JobView]:
    """Save and end; it can be resumed."""
    return Answer(data=act(session, principal.project_id, notify, job_id, DesiredState.STOP))


@router.post("/{job_id}/checkpoint", operation_id="checkpoint_job")
def checkpoint_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[JobView]:
    """Ask a running job to save now."""
    return Answer(data=save(session, principal.project_id, notify, job_id))


@router.post("/{job_id}/priority", operation_id="set_job_priority")
def set_priority(session: DbSession, principal: Writer, job_id: str, body: PriorityBody) -> Answer[JobView]:
    """Move a job before or behind others."""
    control.set_priority(session, principal.project_id, job_id, body.priority)
    return Answer(data=usecase.job(session, principal.project_id, job_id))


@router.delete("/{job_id}", operation_id="delete_job")
def delete_job(session: DbSession, principal: Writer, job_id: str) -> Answer[Deleted]:
    """Take an ended job off the lists; its model and lineage stay."""
    usecase.hide(session, principal.project_id, job_id)
    return Answer(data=Deleted(id=job_id))


def act(session: DbSession, project_id: str, notify: Notify, job_id: str, desired: DesiredState) -> JobView:
    """Ask for a state, and tell the dispatcher after the commit."""
    if desired is DesiredState.RUN:
        quotas.admit_resumed(session, project_id, job_id)
    control.request(session, project_id, job_id, desired)
    notify(NOTIFY_CONTROL, job_id)
    if desired is DesiredState.RUN:
        notify(NOTIFY_JOBS, "")
    return usecase.job(session, project_id, job_id)


def save(session: DbSession, project_id: str, notify: Notify, job_id: str) -> JobView:
    """Ask for a checkpoint, and tell the dispatcher after the commit."""
    control.request_checkpoint(session, project_id, job_id)
    notify(NOTIFY_CONTROL, job_id)
    return usecase.job(session, project_id, job_id)


async def sse(
    request: Request, sessions: Sessions, watcher: StreamWatcher, job_id: str, last_event_id: str | None
) -> StreamingResponse:
    """A stream of one job's events."""
    after = last_event_id or request.query_params.get("last_event_id") or "0"
    if not (after.isascii() and after.isdecimal() and int(after) < 2**63):
        raise InvalidInputError("invalid_parameter", name="Last-Event-ID", value=after[:40], reason="it is no number")

    def check() -> None:
        with sessions() as session:
            usecase.job(session, watcher.principal.project_id, job_id)

    await run_in_threadpool(check)
    broadcast = request.app.state.broadcast
    lines = follow(sessions, broadcast, job_id, int(after), request.is_disconnected, watcher.may_go_on)
    return StreamingResponse(lines, media_type="text/event-stream", headers=SSE_HEADERS)
