"""How an attempt ends, and what that makes of its job: one fenced transaction each (architecture, section 5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.domain.jobs import MAX_FAILURES_IN_ROW, DesiredState, JobStatus, Lane, Outcome
from simorgh_shared.domain.messages import sentence
from simorgh_shared.queue import checkpoints, leases
from simorgh_shared.queue.leases import AppliedEvent, Event, Lease


@dataclass(frozen=True)
class Exit:
    """How the child's process ended."""

    exit_code: int | None = None
    signal: int | None = None

    def describe(self) -> str:
        """For people: `signal 9` or `exit code 1`."""
        return f"signal {self.signal}" if self.signal else f"exit code {self.exit_code}"


def leave(session: Session, lease: Lease, outcome: Outcome = Outcome.LEFT) -> AppliedEvent:
    """The child left as asked, or the worker drains: the job rests where its user wants it."""
    desired = leases.lock(session, lease)
    status = desired.resting_status
    if status is JobStatus.CANCELLED:
        return cancel(session, lease)
    return leases.release(session, lease, status, outcome)


def move(session: Session, lease: Lease, lane: Lane, payload: Mapping[str, Any]) -> list[AppliedEvent]:
    """The job is work for another lane: it waits there, with what it has done, and no failure is counted.

    Two events: `moved` with the lane and the payload, then that of the status.
    """
    desired = leases.lock(session, lease)
    if desired is DesiredState.CANCEL:
        return [cancel(session, lease)]
    session.execute(sa.text("UPDATE jobs SET lane = :lane WHERE id = :id"), {"lane": lane, "id": lease.job_id})
    told = {"lane": str(lane), **payload}
    moved = leases.append(session, lease.job_id, lease.attempt, Event(Outcome.MOVED, told))
    reason = {"reason": str(Outcome.MOVED)}
    return [moved, leases.release(session, lease, desired.resting_status, Outcome.MOVED, payload=reason)]


def cancel(session: Session, lease: Lease) -> AppliedEvent:
    """End as cancelled, with nothing of the job left to be used."""
    leases.lock(session, lease)
    session.execute(sa.text("UPDATE jobs SET checkpoint_id = NULL WHERE id = :id"), {"id": lease.job_id})
    checkpoints.drop(session, lease.job_id)
    return leases.release(session, lease, JobStatus.CANCELLED, Outcome.LEFT)


def succeed(
    session: Session,
    lease: Lease,
    result: dict[str, Any],
    keep: Callable[[Session], dict[str, Any]] | None = None,
) -> AppliedEvent:
    """End as succeeded with its artifacts, or as cancelled without them where that was asked meanwhile.

    `keep` inserts the rows of what the job made, in the same transaction; what it returns joins the result.
    """
    if leases.lock(session, lease) is DesiredState.CANCEL:
        return cancel(session, lease)
    if keep is not None:
        result = result | keep(session)
    return leases.release(
        session, lease, JobStatus.SUCCEEDED, Outcome.SUCCEEDED, payload=result, result=result, exit_code=0
    )


def fail(
    session: Session,
    lease: Lease,
    code: str,
    params: dict[str, Any],
    exit: Exit | None = None,
    details: Sequence[str] = (),
) -> AppliedEvent:
    """End as failed with an explanation: trying again would not help. `details` are several errors of one input."""
    if leases.lock(session, lease) is DesiredState.CANCEL:
        return cancel(session, lease)
    error = _error(code, params) | ({"errors": list(details)} if details else {})
    how = exit or Exit()
    return leases.release(
        session,
        lease,
        JobStatus.FAILED,
        Outcome.FAILED,
        payload={"error": error},
        error=error,
        signal=how.signal,
        exit_code=how.exit_code,
    )


def crash(
    session: Session,
    lease: Lease,
    outcome: Outcome,
    code: str,
    params: dict[str, Any],
    backoff_s: float,
    exit: Exit | None = None,
) -> AppliedEvent:
    """The attempt broke down: back to the queue (the first time at once), or failed when that came too often.

    `code` is the sentence for giving up; it may use `{failures}`.
    """
    desired = leases.lock(session, lease)
    if desired is not DesiredState.RUN:
        return leave(session, lease, outcome)
    failures = (
        session.scalar(sa.text("SELECT failures_in_row FROM jobs WHERE id = :id"), {"id": lease.job_id}) or 0
    ) + 1
    how = exit or Exit()
    if failures >= MAX_FAILURES_IN_ROW:
        error = _error(code, params | {"failures": failures})
        return leases.release(
            session,
            lease,
            JobStatus.FAILED,
            outcome,
            payload={"error": error},
            error=error,
            failures_in_row=failures,
            signal=how.signal,
            exit_code=how.exit_code,
        )
    return leases.release(
        session,
        lease,
        JobStatus.QUEUED,
        outcome,
        payload={"reason": str(outcome), "failures_in_row": failures, "how": how.describe() if exit else ""},
        backoff_s=0.0 if failures == 1 else backoff_s * 2 ** (failures - 2),
        failures_in_row=failures,
        signal=how.signal,
        exit_code=how.exit_code,
    )


def _error(code: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"code": code, "params": params, "message": sentence(code, params)}
