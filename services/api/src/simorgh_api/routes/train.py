"""The training family that existing frontends call (R-TRAIN-1): camelCase, 200 answers, views of the same jobs."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

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
    StreamWatcher,
    Writer,
)
from simorgh_api.routes.jobs import After, LastEventId, act, save, sse
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import bases, continuing, jobs, training
from simorgh_api.usecases.training import Repeat
from simorgh_shared.domain.jobs import DesiredState, JobType, Queue
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer, Page
from simorgh_shared.schemas.jobs import CheckpointView, JobView
from simorgh_shared.schemas.runs import RunBody, RunLogs, RunMetrics, RunView, StartBody

router = native_router("/train", "train")
RunId = Annotated[str | None, Query(alias="runId", description="Without it the newest active run.")]
_LOG_LINES = 1000


@router.post("/start", operation_id="train_start")
def start(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    blobs: Blobs,
    sessions: Sessions,
    body: StartBody | None = None,
    idempotency_key: IdempotencyKey = None,
    retry_count: RetryCount = 0,
) -> Answer[RunView]:
    """Start a run. Without a model the smallest preset, without a dataset the sample one."""
    repeat = Repeat(idempotency_key, retry_count > 0)
    return Answer(data=run_view(queue_run(session, principal, notify, blobs, sessions, body or StartBody(), repeat)))


@router.post("/pause", operation_id="train_pause")
def pause(session: DbSession, principal: Writer, notify: Notify, body: RunBody | None = None) -> Answer[RunView]:
    """Save, and let the device go until the run is resumed."""
    return _ask(session, principal, notify, body, DesiredState.PAUSE)


@router.post("/resume", operation_id="train_resume")
def resume(session: DbSession, principal: Writer, notify: Notify, body: RunBody | None = None) -> Answer[RunView]:
    """Go on from the last checkpoint of a paused or stopped run."""
    return _ask(session, principal, notify, body, DesiredState.RUN)


@router.post("/stop", operation_id="train_stop")
def stop(session: DbSession, principal: Writer, notify: Notify, body: RunBody | None = None) -> Answer[RunView]:
    """Save and end; the run can be resumed."""
    return _ask(session, principal, notify, body, DesiredState.STOP)


@router.post("/cancel", operation_id="train_cancel")
def cancel(session: DbSession, principal: Writer, notify: Notify, body: RunBody | None = None) -> Answer[RunView]:
    """End without saving; nothing of the run stays."""
    return _ask(session, principal, notify, body, DesiredState.CANCEL)


@router.post("/checkpoint", operation_id="train_checkpoint")
def checkpoint(session: DbSession, principal: Writer, notify: Notify, body: RunBody | None = None) -> Answer[RunView]:
    """Ask a running run to save now."""
    job_id = _run(session, principal.project_id, body.run_id if body else None)
    return Answer(data=run_view(save(session, principal.project_id, notify, job_id)))


@router.get("/status", operation_id="train_status")
def status(session: DbSession, principal: Reader, run_id: RunId = None) -> Answer[RunView]:
    """How a run stands."""
    job_id = _run(session, principal.project_id, run_id)
    return Answer(data=run_view(jobs.job(session, principal.project_id, job_id)))


@router.get("/metrics", operation_id="train_metrics", response_model_exclude_unset=True)
def metrics(session: DbSession, principal: Reader, run_id: RunId = None) -> RunMetrics:
    """All logged steps, also of a run that has ended."""
    job_id = _run(session, principal.project_id, run_id)
    return RunMetrics(ok=True, data=jobs.metrics(session, job_id), runId=job_id)


@router.get("/checkpoints", operation_id="train_checkpoints")
def checkpoints(session: DbSession, principal: Reader, run_id: RunId = None) -> Answer[list[CheckpointView]]:
    """Saved states that a new run can start from, newest first."""
    job_id = _run(session, principal.project_id, run_id)
    return Answer(data=jobs.checkpoints(session, principal.project_id, job_id))


@router.get("/runs", operation_id="train_runs")
def runs(session: DbSession, principal: Reader, limit: Limit = 50, cursor: Cursor = None) -> Page[RunView]:
    """The project's runs, newest first."""
    found, more = jobs.jobs(session, principal.project_id, jobs.JobFilter(type=JobType.TRAIN), limit, cursor)
    return Page(data=[run_view(job) for job in found], next_cursor=more)


@router.get("/logs", operation_id="train_logs")
def logs(session: DbSession, principal: Reader, run_id: RunId = None, cursor: After = 0) -> RunLogs:
    """What happened, a line an event."""
    job_id = _run(session, principal.project_id, run_id)
    lines, more = jobs.logs(session, job_id, cursor, _LOG_LINES)
    return RunLogs(data=lines, next_cursor=more, runId=job_id)


@router.get("/stream", operation_id="train_stream", response_class=StreamingResponse)
async def stream(
    request: Request,
    sessions: Sessions,
    watcher: StreamWatcher,
    run_id: RunId = None,
    last_event_id: LastEventId = None,
) -> StreamingResponse:
    """A run's events as they happen (SSE)."""

    def find() -> str:
        with sessions() as session:
            return _run(session, watcher.principal.project_id, run_id)

    job_id = await run_in_threadpool(find)
    return await sse(request, sessions, watcher, job_id, last_event_id)


def queue_run(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    blobs: Blobs,
    sessions: Sessions,
    body: StartBody,
    repeat: Repeat,
) -> JobView:
    """Pin what the parameters name and queue the run."""
    project_id = principal.project_id
    spec = continuing.spec_of(sessions, project_id, body)
    base = bases.pin(sessions, blobs, project_id, spec, body.init_checkpoint_id)
    version_id = training.pin_dataset(session, sessions, blobs, project_id, body.dataset)
    job_id, queue = training.start(
        session, project_id, principal.user_id, spec, version_id, base, body.init_checkpoint_id, repeat
    )
    notify(NOTIFY_JOBS, queue)
    if body.dataset is None:
        notify(NOTIFY_JOBS, Queue.IO)  # the sample may be new, and is looked through
    return jobs.job(session, project_id, job_id)


def run_view(job: JobView) -> RunView:
    """A job in the family's words."""
    result = job.result or {}
    return RunView(
        runId=job.id,
        phase=job.status,
        desiredState=job.desired_state,
        name=job.name,
        step=job.step,
        totalSteps=job.total_steps,
        progress=job.progress,
        attempt=job.attempt,
        device="gpu" if job.queue.endswith(".gpu") else "cpu",
        checkpointId=job.checkpoint_id,
        modelId=result.get("model_id"),
        modelName=result.get("model_name"),
        modelVersionId=result.get("model_version_id"),
        result=job.result,
        error=job.error,
        createdAt=job.created_at,
        startedAt=job.started_at,
        finishedAt=job.finished_at,
    )


def _ask(
    session: DbSession, principal: Writer, notify: Notify, body: RunBody | None, desired: DesiredState
) -> Answer[RunView]:
    job_id = _run(session, principal.project_id, body.run_id if body else None)
    return Answer(data=run_view(act(session, principal.project_id, notify, job_id, desired)))


def _run(session: DbSession, project_id: str, run_id: str | None) -> str:
    if run_id is None:
        return jobs.newest_active(session, project_id, JobType.TRAIN)
    return jobs.job(session, project_id, run_id, JobType.TRAIN).id
