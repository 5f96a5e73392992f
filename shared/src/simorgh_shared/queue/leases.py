"""A lease and the fenced SQL around it: heartbeat, events, end. Every write of an attempt carries its token.

A token that is not the job's any more changes nothing: the statement meets zero rows, the try is noted in
`stale_writes` and `LeaseLostError` tells the runner to kill its child.
"""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.jobs import DesiredState, JobStatus, Lane, Outcome

_ATTEMPTS = Counter(
    "simorgh_attempts_total", "Attempts that ended, by how; lost ones are told by the dispatcher", ["queue", "outcome"]
)
_STALE_WRITES = Counter("simorgh_stale_writes_total", "Writes that came after the lease was lost, and changed nothing")


class LeaseLostError(Exception):
    """The job belongs to another attempt now, or to none."""


@dataclass(frozen=True)
class Lease:
    """A claimed job: what to do and the token that proves the right to write about it."""

    job_id: str
    project_id: str
    type: str
    spec: dict[str, Any]
    attempt: int
    token: str
    worker: str
    checkpoint_id: str | None
    init_checkpoint_id: str | None
    step_done: int
    devices: Sequence[str] = ()
    """The worker's devices that this attempt has to itself."""
    queue: str = ""
    lane: Lane = Lane.LONG
    waited_s: float = field(default=0.0, compare=False)
    traceparent: str | None = None
    """Of the request that made the job, where traces are kept."""
    """How long it was eligible before it was claimed."""


@dataclass(frozen=True)
class Wishes:
    """What a heartbeat brings back."""

    desired_state: DesiredState
    checkpoint_requested_at: datetime | None


@dataclass(frozen=True)
class Event:
    """Something that happened to a job."""

    type: str
    payload: dict[str, Any] = field(default_factory=dict)
    at: str | None = None
    """ISO 8601; None means now, by the database's clock."""


@dataclass(frozen=True)
class AppliedEvent:
    """An event as it stands in PostgreSQL, ready to be published."""

    job_id: str
    seq: int
    attempt: int
    type: str
    payload: dict[str, Any]
    at: datetime
    ending: "Ending | None" = None
    """Where an attempt ended with it."""


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, and on which queue."""

    queue: str
    outcome: Outcome


def expect_endings(queues: Iterable[str], outcomes: Iterable[Outcome] = Outcome) -> None:
    """Begin to count at zero: a series that begins with its first crash shows no rise."""
    for queue, outcome in itertools.product(queues, outcomes):
        _ATTEMPTS.labels(queue, outcome)


def count_endings(events: Sequence[AppliedEvent]) -> None:
    """Tell Prometheus of the attempts that ended with these events. To be called after the commit."""
    for event in events:
        if event.ending is not None:
            _ATTEMPTS.labels(event.ending.queue, event.ending.outcome).inc()


def heartbeat(session: Session, lease: Lease, lease_s: float) -> Wishes:
    """Extend the lease and learn what is wanted.

    Raises: LeaseLostError.
    """
    row = session.execute(
        sa.text(
            "UPDATE jobs SET lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s)"
            " WHERE id = :job_id AND lease_token = :token RETURNING desired_state, checkpoint_requested_at"
        ),
        {"job_id": lease.job_id, "token": lease.token, "lease_s": lease_s},
    ).one_or_none()
    if row is None:
        raise LeaseLostError(lease.job_id)
    return Wishes(DesiredState(row.desired_state), row.checkpoint_requested_at)


def add_event(session: Session, lease: Lease, event: Event) -> list[AppliedEvent]:
    """Write one event of the runner itself.

    Raises: LeaseLostError.
    """
    lock(session, lease)
    return [append(session, lease.job_id, lease.attempt, event)]


def lock(session: Session, lease: Lease) -> DesiredState:
    """Lock the job's row for the rest of the transaction, if the lease still holds.

    Raises: LeaseLostError.
    """
    desired = session.scalar(
        sa.text("SELECT desired_state FROM jobs WHERE id = :job_id AND lease_token = :token FOR UPDATE"),
        {"job_id": lease.job_id, "token": lease.token},
    )
    if desired is None:
        raise LeaseLostError(lease.job_id)
    return DesiredState(desired)


def require(session: Session, lease: Lease) -> None:
    """Raises: LeaseLostError unless the lease still holds."""
    held = session.scalar(
        sa.text("SELECT 1 FROM jobs WHERE id = :job_id AND lease_token = :token"),
        {"job_id": lease.job_id, "token": lease.token},
    )
    if held is None:
        raise LeaseLostError(lease.job_id)


def append(session: Session, job_id: str, attempt: int, event: Event) -> AppliedEvent:
    """Write the next event of a job whose row the caller has locked."""
    row = session.execute(
        sa.text(
            """
            WITH bumped AS (UPDATE jobs SET last_seq = last_seq + 1 WHERE id = :job_id RETURNING last_seq)
            INSERT INTO job_events (job_id, seq, attempt, type, payload, at)
            SELECT :job_id, last_seq, :attempt, CAST(:type AS text), CAST(:payload AS jsonb),
                   coalesce(CAST(:at AS timestamptz), clock_timestamp()) FROM bumped RETURNING seq, at
            """
        ),
        {
            "job_id": job_id,
            "attempt": attempt,
            "type": event.type,
            "payload": json.dumps(event.payload),
            "at": event.at,
        },
    ).one()
    return AppliedEvent(job_id, row.seq, attempt, event.type, event.payload, row.at)


def note_stale_write(sessions: sessionmaker[Session], lease: Lease, operation: str) -> None:
    """Count a write that came too late, in a transaction of its own (the refused one has rolled back)."""
    _STALE_WRITES.inc()
    with sessions.begin() as session:
        session.execute(
            sa.text("INSERT INTO stale_writes (job_id, lease_token, operation) VALUES (:job_id, :token, :operation)"),
            {"job_id": lease.job_id, "token": lease.token, "operation": operation},
        )


def release(
    session: Session,
    lease: Lease,
    status: JobStatus,
    outcome: Outcome,
    *,
    payload: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
    backoff_s: float = 0.0,
    failures_in_row: int | None = None,
    signal: int | None = None,
    exit_code: int | None = None,
) -> AppliedEvent:
    """End an attempt: give the lease back, set the job's status, write the event. `lock` came before.

    The event is written while the row is not yet terminal, because a terminal row never changes.
    """
    event = append(session, lease.job_id, lease.attempt, Event(str(status), payload or {}))
    session.execute(
        _RELEASE,
        {
            "job_id": lease.job_id,
            "token": lease.token,
            "status": status,
            "terminal": status.is_terminal,
            "result": None if result is None else json.dumps(result),
            "error": None if error is None else json.dumps(error),
            "backoff_s": backoff_s,
            "failures_in_row": failures_in_row,
        },
    )
    session.execute(
        sa.text(
            "UPDATE attempts SET outcome = :outcome, signal = :signal, exit_code = :exit_code,"
            " ended_at = clock_timestamp(), checkpoint_out = (SELECT checkpoint_id FROM jobs WHERE id = :job_id)"
            " WHERE job_id = :job_id AND attempt = :attempt"
        ),
        {
            "job_id": lease.job_id,
            "attempt": lease.attempt,
            "outcome": outcome,
            "signal": signal,
            "exit_code": exit_code,
        },
    )
    return replace(event, ending=Ending(lease.queue, outcome))


_RELEASE = sa.text(
    """
    UPDATE jobs SET status = CAST(:status AS text), lease_token = NULL, lease_owner = NULL, lease_expires_at = NULL,
        checkpoint_requested_at = NULL,
        result = coalesce(CAST(:result AS jsonb), result), error = CAST(:error AS jsonb),
        failures_in_row = coalesce(CAST(:failures_in_row AS integer), failures_in_row),
        queued_at = CASE WHEN :status = 'queued' THEN clock_timestamp() ELSE queued_at END,
        not_before = CASE WHEN :status = 'queued' AND :backoff_s > 0
            THEN clock_timestamp() + make_interval(secs => :backoff_s) END,
        finished_at = CASE WHEN :terminal THEN clock_timestamp() END
    WHERE id = :job_id AND lease_token = :token
    """
)
