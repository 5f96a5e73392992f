"""Applies what a child wrote to PostgreSQL exactly once: events and metrics, fenced by the lease's token."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.queue.leases import AppliedEvent, Event, Lease, require


@dataclass(frozen=True)
class MetricPoint:
    """A measured value."""

    name: str
    step: int
    value: float


def apply_lines(
    session: Session,
    lease: Lease,
    *,
    from_line: int,
    to_line: int,
    events: Sequence[Event],
    metrics: Sequence[MetricPoint] = (),
    progress: dict[str, Any] | None = None,
    saves: bool = False,
) -> list[AppliedEvent]:
    """Apply lines of the child's event file exactly once: `applied_line` moves from its expected value or not at all.

    A replay of lines that were applied before returns an empty list. `saves` says that the events hold finished work,
    which a later attempt goes on from: failures are counted anew, as after a checkpoint.
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
            "saves": saves,
        },
    ).all()
    if not rows:
        require(session, lease)
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


_APPLY = sa.text(
    """
    WITH held AS (
        SELECT id FROM jobs WHERE id = :job_id AND lease_token = :token FOR UPDATE
    ), advanced AS (
        UPDATE attempts a SET applied_line = :to_line FROM held
        WHERE a.job_id = held.id AND a.attempt = :attempt AND a.applied_line = :from_line RETURNING a.job_id
    ), bumped AS (
        UPDATE jobs j SET last_seq = last_seq + :num_events, progress = progress || CAST(:progress AS jsonb),
            failures_in_row = CASE WHEN :saves THEN 0 ELSE failures_in_row END
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
