"""Training jobs in snake_case (R-TRAIN-1's second family): views of the same jobs."""

from typing import Annotated, Any

from fastapi import Body, Header, Query, Request

from simorgh_api.deps import Blobs, DbSession, Notify, Reader, Writer
from simorgh_api.routes.jobs import act
from simorgh_api.routes.train import queue_run
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.schemas.jobs import JobView

router = native_router("/training/jobs", "training")


@router.get("", operation_id="list_training_jobs")
def list_training_jobs(
    session: DbSession,
    principal: Reader,
    status: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The project's training jobs, newest first."""
    wanted = jobs.JobFilter(type=JobType.TRAIN, status=status)
    found, more = jobs.jobs(session, principal.project_id, wanted, limit, cursor)
    return {"ok": True, "data": found, "next_cursor": more}


@router.post("", operation_id="create_training_job", status_code=202)
def create_training_job(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    blobs: Blobs,
    request: Request,
    body: Annotated[dict[str, Any] | None, Body()] = None,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> dict[str, Any]:
    """Start a training job; the parameters are those of /api/train/start."""
    job = queue_run(session, principal, notify, blobs, request.app.state.sessions, dict(body or {}), idempotency_key)
    return {"ok": True, "data": job}


@router.get("/{job_id}", operation_id="get_training_job")
def get_training_job(session: DbSession, principal: Reader, job_id: str) -> dict[str, Any]:
    """One training job."""
    return {"ok": True, "data": _job(session, principal.project_id, job_id)}


@router.get("/{job_id}/logs", operation_id="get_training_job_logs")
def get_training_job_logs(
    session: DbSession, principal: Reader, job_id: str, after: Annotated[int, Query(ge=0)] = 0
) -> dict[str, Any]:
    """What happened, a line an event."""
    _job(session, principal.project_id, job_id)
    return {"ok": True, "data": jobs.logs(jobs.events(session, job_id, after, 1000))}


@router.post("/{job_id}/cancel", operation_id="cancel_training_job")
def cancel_training_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> dict[str, Any]:
    """Cancel a training job."""
    act(session, principal.project_id, notify, _job(session, principal.project_id, job_id).id, "cancel")
    return {"ok": True, "data": _job(session, principal.project_id, job_id)}


@router.delete("/{job_id}", operation_id="delete_training_job")
def delete_training_job(session: DbSession, principal: Writer, job_id: str) -> dict[str, Any]:
    """Take an ended training job off the lists; its model and lineage stay."""
    jobs.hide(session, principal.project_id, _job(session, principal.project_id, job_id).id)
    return {"ok": True, "data": {"id": job_id, "deleted": True}}


def _job(session: DbSession, project_id: str, job_id: str) -> JobView:
    found = jobs.job(session, project_id, job_id)
    if found.type != JobType.TRAIN:
        raise NotFoundError("job_not_found", job_id=job_id)
    return found
