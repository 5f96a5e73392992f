"""Puts jobs on their queue: a row, a fair key and a first event, in the caller's transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared import tracing
from simorgh_shared.db.models import Job, JobEvent
from simorgh_shared.domain.errors import ConflictError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import UNMETERED, JobType, Lane, Queue
from simorgh_shared.queue.channels import NOTIFY_JOBS

ADMIT = "admit_job"
"""In `Session.info`: called as (session, new job), it may refuse one. The gateway's sessions carry its quotas there;
a worker's carry nothing, so that a job that was admitted can make its children."""
_RETRIED_WITHIN = timedelta(minutes=10)  # SDKs give up retrying long before


@dataclass(frozen=True)
class NewJob:
    """A job to be done."""

    project_id: str
    type: JobType
    queue: Queue
    spec: Mapping[str, Any]
    created_by: str | None = None
    name: str = ""
    tags: Sequence[str] = field(default_factory=tuple)
    lane: Lane = Lane.LONG
    priority: int = 0
    num_gpus: int = 0
    min_memory_bytes: int = 0
    init_checkpoint_id: str | None = None
    parent_id: str | None = None
    cost: float = 1.0
    """How much of the project's fair share it uses."""
    experiment_id: str | None = None
    idempotency_key: str | None = None
    body_hash: str | None = None
    """Hash of what was asked for: another body under a key that was used before is a conflict."""
    is_retry: bool = False
    """The client says that it sends this again: the same body from the same user, lately, is the same job."""


def enqueue(session: Session, new: NewJob) -> str:
    """Insert a job and return its id; for a request that was made before (R-TRAIN-14), the id of the first job.

    After the commit the caller sends `notify`, as a statement of its own: inside the transaction it would
    serialise commits.

    Raises: ConflictError when the key came with another body before, LimitedError where a quota is used up.
    """
    if (known := _made_before(session, new)) is not None:
        return known
    _admit(session, new)
    job_id = new_id("job")
    session.add(
        Job(
            id=job_id,
            project_id=new.project_id,
            created_by=new.created_by,
            type=new.type,
            name=new.name,
            tags=list(new.tags),
            queue=new.queue,
            lane=new.lane,
            spec=dict(new.spec),
            priority=new.priority,
            fair_key=_next_fair_key(session, new.project_id, new.queue, new.cost),
            num_gpus=new.num_gpus,
            min_memory_bytes=new.min_memory_bytes,
            init_checkpoint_id=new.init_checkpoint_id,
            parent_id=new.parent_id,
            experiment_id=new.experiment_id,
            idempotency_key=new.idempotency_key,
            idempotency_hash=new.body_hash,
            traceparent=tracing.current().traceparent,
            last_seq=1,
        )
    )
    session.flush()
    session.add(JobEvent(job_id=job_id, seq=1, attempt=0, type="queued", payload={"queue": new.queue}))
    session.flush()
    return job_id


def notify(engine: sa.Engine, channel: str, payload: str) -> None:
    """Tell the dispatcher, after the commit that it is about. Losing this costs seconds, never the job."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})


def notify_queued(engine: sa.Engine, queue: str) -> None:
    """Tell the dispatcher that a queue has work."""
    notify(engine, NOTIFY_JOBS, queue)


def has_live_worker(session: Session, queue: str, with_device: bool = False, within_s: float = 30.0) -> bool:
    """Whether a worker of this queue has been heard lately: `device: auto` goes to the GPU only then."""
    return bool(
        session.scalar(
            sa.text(
                "SELECT EXISTS (SELECT 1 FROM workers WHERE :queue = ANY (queues) AND NOT draining"
                " AND (NOT :with_device OR devices <> '[]')"
                " AND heartbeat_at > clock_timestamp() - make_interval(secs => :within_s))"
            ),
            {"queue": queue, "with_device": with_device, "within_s": within_s},
        )
    )


def _admit(session: Session, new: NewJob) -> None:
    admit: Callable[[Session, NewJob], None] | None = session.info.get(ADMIT)
    if admit is not None and new.type not in UNMETERED:
        admit(session, new)


def _made_before(session: Session, new: NewJob) -> str | None:
    """The job that this request made when it came first.

    Two requests at once: the second waits for the first one's transaction, and then finds its job.
    """
    if new.idempotency_key is not None:
        _wait_for_same(session, f"{new.project_id}/{new.idempotency_key}")
        row = session.execute(
            sa.select(Job.id, Job.idempotency_hash).where(
                Job.project_id == new.project_id, Job.idempotency_key == new.idempotency_key
            )
        ).one_or_none()
        if row is not None and row.idempotency_hash != new.body_hash:
            raise ConflictError("idempotency_mismatch")
        return None if row is None else str(row.id)
    if new.body_hash is None:
        return None
    _wait_for_same(session, f"{new.project_id}/{new.created_by}/{new.body_hash}")
    if not new.is_retry:
        return None
    found: str | None = session.scalar(
        sa.select(Job.id)
        .where(Job.project_id == new.project_id, Job.created_by == new.created_by)
        .where(Job.idempotency_hash == new.body_hash, Job.created_at > sa.func.now() - _RETRIED_WITHIN)
        .order_by(Job.created_at.desc())
        .limit(1)
    )
    return found


def _wait_for_same(session: Session, key: str) -> None:
    session.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": key})


def _next_fair_key(session: Session, project_id: str, queue: str, cost: float) -> float:
    """Start-time fair queuing: a project that waited starts at the queue's time, a busy one behind its own jobs."""
    value = session.scalar(
        sa.text(
            """
            INSERT INTO fair_shares AS f (project_id, queue, virtual_time)
            SELECT :project_id, :queue, coalesce(c.virtual_time, 0) + :cost / p.weight
            FROM projects p LEFT JOIN queue_clocks c ON c.queue = :queue WHERE p.id = :project_id
            ON CONFLICT (project_id, queue) DO UPDATE SET virtual_time =
                greatest(f.virtual_time, coalesce((SELECT virtual_time FROM queue_clocks WHERE queue = :queue), 0))
                + :cost / (SELECT weight FROM projects WHERE id = :project_id)
            RETURNING virtual_time
            """
        ),
        {"project_id": project_id, "queue": queue, "cost": cost},
    )
    assert isinstance(value, float)
    return value
