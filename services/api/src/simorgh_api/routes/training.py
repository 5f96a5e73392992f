"""Training jobs in snake_case (R-TRAIN-1's second family): views of the same jobs."""

from fastapi.responses import HTMLResponse

from simorgh_api import pages
from simorgh_api.deps import (
    Blobs,
    Cursor,
    DbSession,
    IdempotencyKey,
    Limit,
    Notify,
    Reader,
    RetryCount,
    Sessions,
    Writer,
)
from simorgh_api.pages.training import page
from simorgh_api.routes.jobs import After, act
from simorgh_api.routes.train import queue_run
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs, reports
from simorgh_api.usecases.training import Repeat
from simorgh_shared.domain.jobs import DesiredState, JobStatus, JobType
from simorgh_shared.schemas.envelope import Answer, Deleted, Page
from simorgh_shared.schemas.jobs import JobView, LogPage
from simorgh_shared.schemas.reports import TrainingReport
from simorgh_shared.schemas.runs import TrainingJobBody

router = native_router("/training/jobs", "training")
_LOG_LINES = 1000


@router.get("", operation_id="list_training_jobs")
def list_training_jobs(
    session: DbSession,
    principal: Reader,
    status: JobStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[JobView]:
    """The project's training jobs, newest first."""
    wanted = jobs.JobFilter(type=JobType.TRAIN, status=status)
    found, more = jobs.jobs(session, principal.project_id, wanted, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.post("", operation_id="create_training_job", status_code=202)
def create_training_job(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    blobs: Blobs,
    sessions: Sessions,
    body: TrainingJobBody | None = None,
    idempotency_key: IdempotencyKey = None,
    retry_count: RetryCount = 0,
) -> Answer[JobView]:
    """Start a training job; the parameters are those of /api/train/start."""
    repeat = Repeat(idempotency_key, retry_count > 0)
    return Answer(data=queue_run(session, principal, notify, blobs, sessions, body or TrainingJobBody(), repeat))


@router.get("/{job_id}", operation_id="get_training_job")
def get_training_job(session: DbSession, principal: Reader, job_id: str) -> Answer[JobView]:
    """One training job."""
    return Answer(data=jobs.job(session, principal.project_id, job_id, JobType.TRAIN))


@router.get("/{job_id}/logs", operation_id="get_training_job_logs")
def get_training_job_logs(session: DbSession, principal: Reader, job_id: str, cursor: After = 0) -> LogPage:
    """What happened, a line an event."""
    jobs.job(session, principal.project_id, job_id, JobType.TRAIN)
    lines, more = jobs.logs(session, job_id, cursor, _LOG_LINES)
    return LogPage(data=lines, next_cursor=more)


@router.get("/{job_id}/results", operation_id="get_training_results")
def get_training_results(session: DbSession, principal: Reader, job_id: str) -> Answer[TrainingReport]:
    """What the run has brought: held-out losses beside a character trigram's, and answers before and after."""
    return Answer(data=reports.training(session, principal.project_id, job_id))


@router.get(
    "/{job_id}/report",
    operation_id="get_training_report",
    response_class=HTMLResponse,
    responses={200: {"description": "A page that stands by itself: no script, nothing from elsewhere."}},
)
def get_training_report(session: DbSession, principal: Reader, job_id: str) -> HTMLResponse:
    """The results as one page for people."""
    found = reports.training(session, principal.project_id, job_id)
    return HTMLResponse(page(found, reports.curve(session, job_id)), headers=pages.HEADERS)


@router.post("/{job_id}/cancel", operation_id="cancel_training_job")
def cancel_training_job(session: DbSession, principal: Writer, notify: Notify, job_id: str) -> Answer[JobView]:
    """Cancel a training job."""
    jobs.job(session, principal.project_id, job_id, JobType.TRAIN)
    return Answer(data=act(session, principal.project_id, notify, job_id, DesiredState.CANCEL))


@router.delete("/{job_id}", operation_id="delete_training_job")
def delete_training_job(session: DbSession, principal: Writer, job_id: str) -> Answer[Deleted]:
    """Take an ended training job off the lists; its model and lineage stay."""
    jobs.job(session, principal.project_id, job_id, JobType.TRAIN)
    jobs.hide(session, principal.project_id, job_id)
    return Answer(data=Deleted(id=job_id))
