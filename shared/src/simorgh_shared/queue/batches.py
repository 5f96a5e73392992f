"""What a batch has done, durable line by line: each answer is written once, fenced by the lease's token."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import BatchAnswer, Job
from simorgh_shared.queue import leases
from simorgh_shared.queue.leases import AppliedEvent, Event, Lease, LeaseLostError


@dataclass(frozen=True)
class LineAnswer:
    """A line's answer, as it will stand in a file."""

    line: int
    is_error: bool
    text: str


def keep(session: Session, lease: Lease, answers: Sequence[LineAnswer]) -> None:
    """Write answers; a line that has one keeps it. Work that is done counts failures anew, as a checkpoint does.

    Raises: LeaseLostError.
    """
    rows = [{"line": one.line, "is_error": one.is_error, "answer": one.text} for one in answers]
    values = {"job_id": lease.job_id, "token": lease.token, "rows": json.dumps(rows)}
    if session.execute(_KEEP, values).first() is None:
        raise LeaseLostError(lease.job_id)


def enter(session: Session, lease: Lease, phase: str, progress: Mapping[str, Any]) -> AppliedEvent:
    """Note that a phase begins, in the job's progress and as an event.

    Raises: LeaseLostError.
    """
    leases.lock(session, lease)
    told = {"phase": phase, **progress}
    session.execute(
        sa.text(
            "UPDATE jobs SET progress = progress || CAST(:told AS jsonb) || jsonb_build_object(CAST(:name AS text),"
            " extract(epoch FROM clock_timestamp())::bigint) WHERE id = :id"
        ),
        {"told": json.dumps(told), "name": f"{phase}_at", "id": lease.job_id},
    )
    return leases.append(session, lease.job_id, lease.attempt, Event(phase, dict(progress)))


def progress(session: Session, job_id: str) -> dict[str, Any]:
    """How far the job is."""
    return dict(session.scalars(sa.select(Job.progress).where(Job.id == job_id)).one())


def answered(session: Session, job_id: str) -> set[int]:
    """The lines that have an answer."""
    return set(session.scalars(sa.select(BatchAnswer.line).where(BatchAnswer.job_id == job_id)))


def page(session: Session, job_id: str, after: int, limit: int) -> list[LineAnswer]:
    """Answers beyond a line, in the order of the lines."""
    query = sa.select(BatchAnswer).where(BatchAnswer.job_id == job_id, BatchAnswer.line > after)
    rows = session.scalars(query.order_by(BatchAnswer.line).limit(limit))
    return [LineAnswer(row.line, row.is_error, row.answer) for row in rows]


_KEEP = sa.text(
    """
    WITH held AS (
        SELECT id FROM jobs WHERE id = :job_id AND lease_token = :token FOR UPDATE
    ), kept AS (
        INSERT INTO batch_answers (job_id, line, is_error, answer)
        SELECT held.id, r.line, r.is_error, r.answer
        FROM held, jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (line integer, is_error boolean, answer text)
        ON CONFLICT DO NOTHING RETURNING is_error
    ), counted AS (
        SELECT count(*) FILTER (WHERE NOT is_error) AS completed, count(*) FILTER (WHERE is_error) AS failed FROM kept
    )
    UPDATE jobs j SET failures_in_row = 0, progress = j.progress || jsonb_build_object(
        'completed', coalesce((j.progress ->> 'completed')::bigint, 0) + c.completed,
        'failed', coalesce((j.progress ->> 'failed')::bigint, 0) + c.failed)
    FROM held, counted c WHERE j.id = held.id RETURNING j.id
    """
)
