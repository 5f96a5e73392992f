"""Parents: jobs that hand work to other jobs, wait without a slot, and run again when these have ended."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Job
from simorgh_shared.domain.jobs import ACTIVE, DesiredState, JobStatus, Outcome
from simorgh_shared.queue import control, endings, leases
from simorgh_shared.queue.leases import AppliedEvent, Lease
from simorgh_shared.queue.submit import NewJob, enqueue

_BATCH = 100


@dataclass(frozen=True)
class ChildJob:
    """A job that a parent made, as the parent's next attempt sees it."""

    job_id: str
    status: JobStatus
    result: dict[str, Any] | None
    error: dict[str, Any] | None


def children(session: Session, job_id: str) -> list[ChildJob]:
    """The jobs that a parent has made, in the order in which it made them."""
    rows = session.scalars(sa.select(Job).where(Job.parent_id == job_id).order_by(Job.id))
    return [ChildJob(row.id, JobStatus(row.status), row.result, row.error) for row in rows]


def wait_for(session: Session, lease: Lease, new: Sequence[NewJob]) -> AppliedEvent:
    """Queue children and end the parent's attempt: it is `waiting`, and holds no worker.

    Where the user wants the parent otherwise by now it leaves as asked, and no child is made.
    Raises: LeaseLostError.
    """
    if not new:
        raise ValueError("a parent waits for at least one child")
    if leases.lock(session, lease) is not DesiredState.RUN:
        return endings.leave(session, lease)
    made = [enqueue(session, replace(job, project_id=lease.project_id, parent_id=lease.job_id)) for job in new]
    return leases.release(
        session, lease, JobStatus.WAITING, Outcome.DELEGATED, payload={"children": made}, failures_in_row=0
    )


def advance(session: Session) -> list[str]:
    """Move on each waiting parent whose children have all ended or rest; returns the parents that changed.

    One that is to run goes back to its queue when all have ended, so that its next attempt sees how; one that is to
    pause, stop or be cancelled does so when no child works any more.
    """
    working = sa.select(Job.id).where(Job.parent_id == _parent.id, Job.status.in_(ACTIVE)).exists()
    waiting = session.scalars(
        sa.select(_parent)
        .where(_parent.status == JobStatus.WAITING, ~working)
        .order_by(_parent.id)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    return [parent.id for parent in waiting if _advance(session, parent)]


def _advance(session: Session, parent: Job) -> bool:
    counts = _count(session, parent.id)
    desired = DesiredState(parent.desired_state)
    if desired is DesiredState.RUN and any(not status.is_terminal for status in counts):
        return False  # a child was paused or stopped by itself: the parent waits for its user
    payload = {"children": {str(status): count for status, count in counts.items()}}
    control.move(session, parent, desired.resting_status, desired, payload)
    return True


def _count(session: Session, parent_id: str) -> dict[JobStatus, int]:
    # Read after the lock on the parent: a child that was asked to go on meanwhile counts as what it is now.
    rows = session.execute(
        sa.select(Job.status, sa.func.count())
        .where(Job.parent_id == parent_id)
        .group_by(Job.status)
        .order_by(Job.status)
    )
    return {JobStatus(status): count for status, count in rows}


_parent = sa.orm.aliased(Job)
