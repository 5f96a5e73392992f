"""Reads of jobs, their events, metrics and checkpoints, always within one project."""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases.paging import page
from simorgh_api.usecases.voice import recordings
from simorgh_shared.db.models import Checkpoint, Job, JobEvent, Manifest, Metric
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.domain.jobs import JobStatus, JobType
from simorgh_shared.schemas.jobs import CheckpointView, EventView, JobView, MetricsPoint

_SHOWN_CHARS = 200


@dataclass(frozen=True)
class JobFilter:
    """Which jobs of a project."""

    type: str | None = None
    status: str | None = None
    tag: str | None = None
    text: str | None = None
    experiment: str | None = None


def job(session: Session, project_id: str, job_id: str, type: JobType | None = None) -> JobView:
    """One job, of one type where that is named.

    Raises: NotFoundError for another project's job too.
    """
    row = session.scalar(sa.select(Job).where(Job.id == job_id, Job.project_id == project_id, Job.hidden_at.is_(None)))
    if row is None:
        raise NotFoundError("job_not_found", job_id=job_id)
    if type is not None and row.type != type:
        raise NotFoundError("job_of_another_type", job_id=job_id, type=row.type, wanted=type)
    return job_view(row)


def jobs(
    session: Session, project_id: str, wanted: JobFilter, limit: int, cursor: str | None = None
) -> tuple[list[JobView], str | None]:
    """The newest jobs first, and the cursor to go on with (None at the end)."""
    query = sa.select(Job).where(Job.project_id == project_id, Job.hidden_at.is_(None))
    for column, value in ((Job.type, wanted.type), (Job.status, wanted.status), (Job.experiment_id, wanted.experiment)):
        if value is not None:
            query = query.where(column == value)
    if wanted.tag is not None:
        query = query.where(Job.tags.contains([wanted.tag]))
    if wanted.text is not None:
        query = query.where(sa.or_(Job.name.icontains(wanted.text, autoescape=True), Job.id == wanted.text))
    rows, more = page(session, query, Job.id, "job", limit, cursor)
    return [job_view(row.Job) for row in rows], more


def events(session: Session, job_id: str, after: int, limit: int, type: str | None = None) -> list[EventView]:
    """Events beyond `after`, in order, of one type where that is named. The caller has checked whose the job is."""
    query = sa.select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > after)
    if type is not None:
        query = query.where(JobEvent.type == type)
    rows = session.scalars(query.order_by(JobEvent.seq).limit(limit))
    return [EventView(seq=r.seq, attempt=r.attempt, type=r.type, payload=r.payload, at=r.at) for r in rows]


def checkpoints(session: Session, project_id: str, job_id: str) -> list[CheckpointView]:
    """The checkpoints of a job that can be started from, newest first."""
    rows = session.execute(
        sa.select(Checkpoint, Manifest.bytes)
        .join(Job, Job.id == Checkpoint.job_id)
        .join(Manifest, Manifest.id == Checkpoint.manifest_id)
        .where(Checkpoint.job_id == job_id, Job.project_id == project_id)
        .order_by(Checkpoint.step.desc())
    )
    return [
        CheckpointView(id=c.id, job_id=c.job_id, step=c.step, reason=c.reason, bytes=size, created_at=c.created_at)
        for c, size in rows
    ]


def metrics(session: Session, job_id: str) -> list[MetricsPoint]:
    """All logged values by step."""
    points: dict[int, dict[str, float]] = {}
    for row in session.scalars(sa.select(Metric).where(Metric.job_id == job_id).order_by(Metric.step, Metric.name)):
        points.setdefault(row.step, {"step": row.step})[row.name] = row.value
    return [MetricsPoint.model_validate(point) for point in points.values()]


def newest_active(session: Session, project_id: str, type_: str) -> str:
    """The newest job of a type that has not ended.

    Raises: NotFoundError when there is none.
    """
    found = session.scalar(
        sa.select(Job.id)
        .where(Job.project_id == project_id, Job.type == type_, Job.finished_at.is_(None), Job.hidden_at.is_(None))
        .order_by(Job.id.desc())
        .limit(1)
    )
    if found is None:
        raise NotFoundError("no_active_run")
    return found


def hide(session: Session, project_id: str, job_id: str) -> None:
    """Take an ended job off the lists; its model and lineage stay, audio and transcript of a voice job go.

    Raises: ConflictError while it has not ended.
    """
    view = job(session, project_id, job_id)
    if not JobStatus(view.status).is_terminal:
        raise ConflictError("job_active", job_id=job_id, status=view.status)
    recordings.let_go(session, job_id)
    session.execute(sa.update(Job).where(Job.id == job_id).values(hidden_at=sa.func.clock_timestamp()))


def job_view(row: Job) -> JobView:
    """A row as the API shows it."""
    progress = row.progress
    return JobView(
        id=row.id,
        type=row.type,
        name=row.name,
        tags=row.tags,
        status=row.status,
        desired_state=row.desired_state,
        queue=row.queue,
        priority=row.priority,
        attempt=row.attempt,
        step=progress.get("step"),
        total_steps=progress.get("total_steps"),
        progress=progress,
        checkpoint_id=row.checkpoint_id,
        spec=_shown(row.spec) if row.type == JobType.SYNTHESIZE else row.spec,
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _shown(spec: dict[str, Any]) -> dict[str, Any]:
    """What a speech job was asked, without most of a long text: whoever sent it has it."""
    text = spec.get("text")
    if not isinstance(text, str) or len(text) <= _SHOWN_CHARS:
        return spec
    return spec | {"text": f"{text[:_SHOWN_CHARS]}…"}


def logs(session: Session, job_id: str, after: int, limit: int) -> tuple[list[str], int | None]:
    """Events as lines for people, and the number to go on after (None where there are no more now)."""
    found = events(session, job_id, after, limit)
    lines = [f"{e.at.isoformat(timespec='seconds')} {e.type} {_as_words(e.payload)}".rstrip() for e in found]
    return lines, found[-1].seq if len(found) == limit else None


def _as_words(payload: dict[str, Any]) -> str:
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in payload.items()
    )
