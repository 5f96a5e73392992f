"""What users ask of a job: pause, resume, stop, cancel, save now. The columns are the truth; a push makes it quick."""

import contextlib
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Job
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.domain.jobs import RESTING, DesiredState, JobStatus
from simorgh_shared.queue import checkpoints

_AT_ONCE: dict[DesiredState, tuple[frozenset[JobStatus], JobStatus]] = {
    # Jobs that hold no worker change at once.
    DesiredState.CANCEL: (
        frozenset({JobStatus.QUEUED, JobStatus.PAUSED, JobStatus.STOPPED}),
        JobStatus.CANCELLED,
    ),
    DesiredState.PAUSE: (frozenset({JobStatus.QUEUED}), JobStatus.PAUSED),
    DesiredState.STOP: (frozenset({JobStatus.QUEUED, JobStatus.PAUSED}), JobStatus.STOPPED),
    DesiredState.RUN: (frozenset({JobStatus.PAUSED, JobStatus.STOPPED}), JobStatus.QUEUED),
}

_ACTION = {
    DesiredState.CANCEL: "cancel",
    DesiredState.PAUSE: "pause",
    DesiredState.STOP: "stop",
    DesiredState.RUN: "resume",
}


def request(session: Session, project_id: str, job_id: str, desired: DesiredState) -> JobStatus:
    """Ask for a state and return the job's status now; asking for what already is changes nothing.

    A running job learns of it by its worker's next heartbeat (after the commit the caller notifies
    `NOTIFY_CONTROL`); one that holds no worker changes at once. The children of a parent are asked too.

    Raises: NotFoundError outside the project, ConflictError where the state does not allow it.
    """
    job = _locked(session, project_id, job_id)
    status = JobStatus(job.status)
    movable, target = _AT_ONCE[desired]
    if desired is DesiredState.RUN and status in RESTING and _has_unfinished_children(session, job_id):
        target = JobStatus.WAITING
    if status in movable:
        move(session, job, target, desired)
    elif status in (JobStatus.RUNNING, JobStatus.WAITING):
        if job.desired_state == DesiredState.CANCEL and desired is not DesiredState.CANCEL:
            raise _conflict(job, desired)
        job.desired_state = desired
    elif status is not target and not (status is JobStatus.QUEUED and desired is DesiredState.RUN):
        raise _conflict(job, desired)
    session.flush()
    for child_id in session.scalars(
        sa.select(Job.id).where(Job.parent_id == job_id, Job.finished_at.is_(None)).order_by(Job.id)
    ):
        with contextlib.suppress(ConflictError):  # a child that was stopped by itself stays stopped
            request(session, project_id, child_id, desired)
    return JobStatus(job.status)


def request_checkpoint(session: Session, project_id: str, job_id: str) -> None:
    """Ask a running job to save now.

    Raises: NotFoundError outside the project, ConflictError unless it runs.
    """
    job = _locked(session, project_id, job_id)
    if job.status != JobStatus.RUNNING:
        raise ConflictError(
            "job_state_conflict",
            job_id=job_id,
            status=job.status,
            action="checkpoint",
            hint="Only a running job can save.",
        )
    session.execute(sa.update(Job).where(Job.id == job_id).values(checkpoint_requested_at=sa.func.clock_timestamp()))


def set_priority(session: Session, project_id: str, job_id: str, priority: int) -> None:
    """Move a job that has not ended before or behind others (-100 to 100, higher is sooner)."""
    job = _locked(session, project_id, job_id)
    if JobStatus(job.status).is_terminal:
        raise ConflictError(
            "job_state_conflict", job_id=job_id, status=job.status, action="priority", hint="It has ended."
        )
    job.priority = priority
    session.flush()


def move(
    session: Session, job: Job, target: JobStatus, desired: DesiredState, payload: dict[str, Any] | None = None
) -> None:
    """Change the status of a locked job that holds no worker, with its event."""
    values: dict[str, Any] = {"status": target, "desired_state": desired, "last_seq": Job.last_seq + 1}
    if target is JobStatus.QUEUED:
        values |= {"queued_at": sa.func.clock_timestamp(), "not_before": None, "failures_in_row": 0}
    if target.is_terminal:
        values["finished_at"] = sa.func.clock_timestamp()
    if target is JobStatus.CANCELLED:
        values["checkpoint_id"] = None
    session.execute(sa.update(Job).where(Job.id == job.id).values(**values))
    session.execute(
        sa.text(
            "INSERT INTO job_events (job_id, seq, attempt, type, payload)"
            " SELECT id, last_seq, attempt, CAST(:type AS text), CAST(:payload AS jsonb) FROM jobs WHERE id = :job_id"
        ),
        {"job_id": job.id, "type": target, "payload": json.dumps(payload or {})},
    )
    if target is JobStatus.CANCELLED:
        checkpoints.drop(session, job.id)
    session.refresh(job)


def _locked(session: Session, project_id: str, job_id: str) -> Job:
    job = session.scalar(
        sa.select(Job)
        .where(Job.id == job_id, Job.project_id == project_id, Job.hidden_at.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise NotFoundError("job_not_found", job_id=job_id)
    return job


def _has_unfinished_children(session: Session, job_id: str) -> bool:
    unfinished = sa.select(Job.id).where(Job.parent_id == job_id, Job.finished_at.is_(None))
    return session.scalar(unfinished.limit(1)) is not None


def _conflict(job: Job, desired: DesiredState) -> ConflictError:
    hints = {
        JobStatus.SUCCEEDED: "It has ended; start a new job, from one of its checkpoints if you like.",
        JobStatus.FAILED: "It has ended; start a new job, from one of its checkpoints if you like.",
        JobStatus.CANCELLED: "It has ended; start a new one.",
        JobStatus.STOPPED: "Resume it first.",
        JobStatus.RUNNING: "It is being cancelled.",
        JobStatus.WAITING: "It is being cancelled.",
    }
    status = JobStatus(job.status)
    return ConflictError(
        "job_state_conflict",
        job_id=job.id,
        status=status,
        action=_ACTION[desired],
        hint=hints.get(status, ""),
    )
