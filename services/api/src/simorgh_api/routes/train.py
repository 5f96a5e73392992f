"""The training family that existing frontends call (R-TRAIN-1): camelCase, 200 answers, views of the same jobs."""

from typing import Annotated, Any

from fastapi import Body, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from simorgh_api.deps import Blobs, DbSession, Notify, Reader, Sessions, Writer
from simorgh_api.routes.jobs import act, sse
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import datasets, jobs, training
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.queue import control
from simorgh_shared.queue.channels import NOTIFY_CONTROL, NOTIFY_JOBS
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.schemas.training import TrainSpec

router = native_router("/train", "train")
_RUN_KEYS = ("runId", "run_id")
_CHECKPOINT_KEYS = ("initCheckpoint", "init_checkpoint", "initCheckpointId", "init_checkpoint_id")
RunId = Annotated[str | None, Query(alias="runId")]


@router.post("/start", operation_id="train_start")
def start(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    blobs: Blobs,
    request: Request,
    body: Annotated[dict[str, Any] | None, Body()] = None,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> dict[str, Any]:
    """Start a run. Without a model the smallest preset, without a dataset the sample one."""
    job = queue_run(session, principal, notify, blobs, request.app.state.sessions, dict(body or {}), idempotency_key)
    return {"ok": True, "data": run_view(job)}


@router.post("/{action}", operation_id="train_control")
def control_run(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    action: str,
    body: Annotated[dict[str, Any] | None, Body()] = None,
) -> dict[str, Any]:
    """`pause`, `resume`, `stop`, `cancel` or `checkpoint` a run; without `runId` the newest active one."""
    given = dict(body or {})
    run_ids = [str(given.pop(key)) for key in _RUN_KEYS if key in given]
    if given:
        raise InvalidInputError("unknown_parameter", name=next(iter(given)), known="runId")
    job_id = _run(session, principal.project_id, run_ids[0] if run_ids else None)
    if action == "checkpoint":
        control.request_checkpoint(session, principal.project_id, job_id)
        notify(NOTIFY_CONTROL, job_id)
    else:
        act(session, principal.project_id, notify, job_id, action)
    return {"ok": True, "data": run_view(jobs.job(session, principal.project_id, job_id))}


@router.get("/status", operation_id="train_status")
def status(session: DbSession, principal: Reader, run_id: RunId = None) -> dict[str, Any]:
    """How a run stands."""
    job_id = _run(session, principal.project_id, run_id)
    return {"ok": True, "data": run_view(jobs.job(session, principal.project_id, job_id))}


@router.get("/metrics", operation_id="train_metrics")
def metrics(session: DbSession, principal: Reader, run_id: RunId = None) -> dict[str, Any]:
    """All logged steps, also of a run that has ended."""
    job_id = _run(session, principal.project_id, run_id)
    return {"ok": True, "data": jobs.metrics(session, job_id), "runId": job_id}


@router.get("/checkpoints", operation_id="train_checkpoints")
def checkpoints(session: DbSession, principal: Reader, run_id: RunId = None) -> dict[str, Any]:
    """Saved states that a new run can start from."""
    job_id = _run(session, principal.project_id, run_id)
    return {"ok": True, "data": jobs.checkpoints(session, principal.project_id, job_id)}


@router.get("/runs", operation_id="train_runs")
def runs(
    session: DbSession,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The project's runs, newest first."""
    found, more = jobs.jobs(session, principal.project_id, jobs.JobFilter(type=JobType.TRAIN), limit, cursor)
    return {"ok": True, "data": [run_view(job) for job in found], "next_cursor": more}


@router.get("/logs", operation_id="train_logs")
def logs(
    session: DbSession, principal: Reader, run_id: RunId = None, after: Annotated[int, Query(ge=0)] = 0
) -> dict[str, Any]:
    """What happened, a line an event."""
    job_id = _run(session, principal.project_id, run_id)
    return {"ok": True, "data": jobs.logs(jobs.events(session, job_id, after, 1000)), "runId": job_id}


@router.get("/stream", operation_id="train_stream")
async def stream(
    request: Request,
    sessions: Sessions,
    principal: Reader,
    run_id: RunId = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """A run's events as they happen (SSE)."""

    def find() -> str:
        with sessions() as session:
            return _run(session, principal.project_id, run_id)

    job_id = await run_in_threadpool(find)
    return await sse(request, sessions, principal.project_id, job_id, last_event_id)


def queue_run(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    blobs: Blobs,
    sessions: Sessions,
    given: dict[str, Any],
    idempotency_key: str | None,
) -> JobView:
    """Check the parameters, pin what they name and queue the run."""
    checkpoints = [str(given.pop(key)) for key in _CHECKPOINT_KEYS if key in given]
    spec = parse_spec(given)
    project_id = principal.project_id
    if spec.dataset is None:
        version_id = datasets.ensure_sample_dataset(session, blobs, sessions, project_id)
    else:
        version_id = training.newest_version(session, project_id, spec.dataset)
    job_id, queue = training.start(
        session,
        project_id,
        principal.user_id,
        spec,
        version_id,
        checkpoints[0] if checkpoints else None,
        idempotency_key,
    )
    notify(NOTIFY_JOBS, queue)
    return jobs.job(session, project_id, job_id)


def parse_spec(given: dict[str, Any]) -> TrainSpec:
    """The parameters of a run, or the sentences about what does not fit."""
    try:
        return TrainSpec.model_validate(given)
    except ValidationError as error:
        unknown = [e for e in error.errors() if e["type"] == "extra_forbidden"]
        if unknown:
            known = ", ".join(TrainSpec.model_fields)
            raise InvalidInputError("unknown_parameter", name=str(unknown[0]["loc"][-1]), known=known) from error
        raise RequestValidationError(error.errors()) from error


def run_view(job: JobView) -> dict[str, Any]:
    """A job in the family's words."""
    result = job.result or {}
    return {
        "runId": job.id,
        "phase": job.status,
        "desiredState": job.desired_state,
        "name": job.name,
        "step": job.step,
        "totalSteps": job.total_steps,
        "progress": job.progress,
        "attempt": job.attempt,
        "device": "gpu" if job.queue.endswith(".gpu") else "cpu",
        "checkpointId": job.checkpoint_id,
        "modelId": result.get("model_id"),
        "modelName": result.get("model_name"),
        "modelVersionId": result.get("model_version_id"),
        "result": job.result,
        "error": job.error,
        "createdAt": job.created_at,
        "startedAt": job.started_at,
        "finishedAt": job.finished_at,
    }


def _run(session: DbSession, project_id: str, run_id: str | None) -> str:
    if run_id is None:
        return jobs.newest_active(session, project_id, JobType.TRAIN)
    return jobs.job(session, project_id, run_id).id
