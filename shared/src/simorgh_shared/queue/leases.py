"""The fenced SQL of the job engine: claim, heartbeat, apply, end. Every write of an attempt carries its token.

A token that is not the job's any more changes nothing: the statement meets zero rows, the try is noted in
`stale_writes` and `LeaseLostError` tells the runner to kill its child.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.jobs import DesiredState, JobStatus, Lane, Outcome


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
class MetricPoint:
    """A measured value."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class AppliedEvent:
    """An event as it stands in PostgreSQL, ready to be published."""

    job_id: str
    seq: int
    attempt: int
    type: str
    payload: dict[str, Any]
    at: datetime


def claim(
    session: Session,
    *,
    worker: str,
    token: str,
    queues: Sequence[str],
    lanes: Sequence[Lane],
    lease_s: float,
    num_gpus: int = 0,
    memory_bytes: int = 0,
    devices: Sequence[str] = (),
) -> Lease | None:
    """Take the best eligible row of these queues, or None.

    The caller makes the token, so that after a lost COMMIT answer `claimed_by` can tell what happened.
    """
    heads = session.execute(
        _PEEK,
        {"queues": list(queues), "lanes": list(lanes), "num_gpus": num_gpus, "memory_bytes": memory_bytes},
    ).scalars()
    for queue in heads.all():
        row = session.execute(
            _CLAIM,
            {
                "queue": queue,
                "lanes": list(lanes),
                "num_gpus": num_gpus,
                "memory_bytes": memory_bytes,
                "worker": worker,
                "token": token,
                "lease_s": lease_s,
                "devices": json.dumps(list(devices)),
            },
        ).one_or_none()
        if row is not None:
            return _lease(row, token, worker)
    return None


def claimed_by(session: Session, worker: str, token: str) -> Lease | None:
    """The job that holds this token, after a COMMIT whose answer was lost."""
    row = session.execute(
        sa.text(f"SELECT {_LEASE_COLUMNS} FROM jobs j WHERE lease_token = :token"), {"token": token}
    ).one_or_none()
    return None if row is None else _lease(row, token, worker)


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


def apply_lines(
    session: Session,
    lease: Lease,
    *,
    from_line: int,
    to_line: int,
    events: Sequence[Event],
    metrics: Sequence[MetricPoint] = (),
    progress: dict[str, Any] | None = None,
) -> list[AppliedEvent]:
    """Apply lines of the child's event file exactly once: `applied_line` moves from its expected value or not at all.

    A replay of lines that were applied before returns an empty list.
    Raises: LeaseLostError.
    """
    rows = session.execute(
        _APPLY,
        {
            "job_id": lease.job_id,
            "token": lease.token,
            "attempt": lease.attempt,
            "from_line": from_line,
            "to_line": to_line,
            "num_events": len(events),
            "events": _events_json(events),
            "progress": json.dumps(progress or {}),
        },
    ).all()
    if not rows:
        _require_lease(session, lease)
        return []
    if metrics:
        session.execute(
            _METRICS,
            {
                "job_id": lease.job_id,
                "attempt": lease.attempt,
                "names": [point.name for point in metrics],
                "steps": [point.step for point in metrics],
                "values": [point.value for point in metrics],
            },
        )
    return _applied(lease, rows)


def add_event(session: Session, lease: Lease, event: Event) -> list[AppliedEvent]:
    """Write one event of the runner itself.

    Raises: LeaseLostError.
    """
    locked = lock(session, lease)
    del locked
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
    return event


def _require_lease(session: Session, lease: Lease) -> None:
    held = session.scalar(
        sa.text("SELECT 1 FROM jobs WHERE id = :job_id AND lease_token = :token"),
        {"job_id": lease.job_id, "token": lease.token},
    )
    if held is None:
        raise LeaseLostError(lease.job_id)


def _lease(row: Any, token: str, worker: str) -> Lease:
    return Lease(
        job_id=row.id,
        project_id=row.project_id,
        type=row.type,
        spec=row.spec,
        attempt=row.attempt,
        token=token,
        worker=worker,
        checkpoint_id=row.checkpoint_id,
        init_checkpoint_id=row.init_checkpoint_id,
        step_done=row.step_done,
    )


def _events_json(events: Sequence[Event]) -> str:
    return json.dumps(
        [{"ord": n, "type": e.type, "payload": e.payload, "at": e.at} for n, e in enumerate(events, start=1)]
    )


def _applied(lease: Lease, rows: Sequence[Any]) -> list[AppliedEvent]:
    return [
        AppliedEvent(lease.job_id, row.seq, lease.attempt, row.type, row.payload, row.at)
        for row in sorted(rows, key=lambda row: row.seq)
        if row.seq is not None
    ]


_LEASE_COLUMNS = "j.id, j.project_id, j.type, j.spec, j.attempt, j.checkpoint_id, j.init_checkpoint_id, j.step_done"

_ELIGIBLE = """
    j.status = 'queued' AND j.lane = ANY (:lanes) AND j.num_gpus <= :num_gpus
    AND (j.min_memory_bytes = 0 OR j.min_memory_bytes <= :memory_bytes)
    AND (j.not_before IS NULL OR j.not_before <= clock_timestamp())
"""

# Which of the worker's queues has the best head: looked at without locks, one index entry a queue.
_PEEK = sa.text(
    f"""
    SELECT q.queue FROM unnest(CAST(:queues AS text[])) AS q (queue) CROSS JOIN LATERAL (
        SELECT j.priority, j.fair_key, j.id FROM jobs j WHERE j.queue = q.queue AND {_ELIGIBLE}
        ORDER BY j.priority DESC, j.fair_key, j.id LIMIT 1) head
    ORDER BY head.priority DESC, head.fair_key, head.id
    """
)

_CLAIM = sa.text(
    f"""
    WITH best AS (
        SELECT j.id FROM jobs j WHERE j.queue = :queue AND {_ELIGIBLE}
        ORDER BY j.priority DESC, j.fair_key, j.id LIMIT 1 FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE jobs SET status = 'running', attempt = attempt + 1, lease_token = :token, lease_owner = :worker,
            lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s), last_seq = last_seq + 1,
            started_at = coalesce(started_at, clock_timestamp()), checkpoint_requested_at = NULL
        FROM best WHERE jobs.id = best.id RETURNING jobs.*
    ), attempted AS (
        INSERT INTO attempts (job_id, attempt, worker, lease_token, checkpoint_in, devices)
        SELECT id, attempt, :worker, :token, coalesce(checkpoint_id, init_checkpoint_id), CAST(:devices AS jsonb)
        FROM taken
    ), told AS (
        INSERT INTO job_events (job_id, seq, attempt, type, payload)
        SELECT id, last_seq, attempt, 'running', jsonb_build_object('attempt', attempt) FROM taken
    ), clock AS (
        INSERT INTO queue_clocks AS c (queue, virtual_time) SELECT queue, fair_key FROM taken
        ON CONFLICT (queue) DO UPDATE SET virtual_time = greatest(c.virtual_time, excluded.virtual_time)
    )
    SELECT {_LEASE_COLUMNS} FROM taken j
    """
)

_APPLY = sa.text(
    """
    WITH held AS (
        SELECT id FROM jobs WHERE id = :job_id AND lease_token = :token FOR UPDATE
    ), advanced AS (
        UPDATE attempts a SET applied_line = :to_line FROM held
        WHERE a.job_id = held.id AND a.attempt = :attempt AND a.applied_line = :from_line RETURNING a.job_id
    ), bumped AS (
        UPDATE jobs j SET last_seq = last_seq + :num_events, progress = progress || CAST(:progress AS jsonb)
        FROM advanced WHERE j.id = advanced.job_id RETURNING j.last_seq
    ), inserted AS (
        INSERT INTO job_events (job_id, seq, attempt, type, payload, at)
        SELECT :job_id, b.last_seq - :num_events + e.ord, :attempt, e.type, e.payload,
               coalesce(e.at, clock_timestamp())
        FROM bumped b, jsonb_to_recordset(CAST(:events AS jsonb))
            AS e (ord bigint, type text, payload jsonb, at timestamptz)
        RETURNING seq, type, payload, at
    )
    SELECT i.seq, i.type, i.payload, i.at FROM advanced LEFT JOIN inserted i ON true
    """
)

_METRICS = sa.text(
    """
    INSERT INTO metrics AS m (job_id, name, step, attempt, value, at)
    SELECT :job_id, p.name, p.step, :attempt, p.value, clock_timestamp()
    FROM unnest(CAST(:names AS text[]), CAST(:steps AS bigint[]), CAST(:values AS float8[])) AS p (name, step, value)
    ON CONFLICT (job_id, name, step) DO UPDATE
        SET value = excluded.value, attempt = excluded.attempt, at = excluded.at
    """
)

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
