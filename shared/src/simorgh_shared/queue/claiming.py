"""Claims the best eligible job of a worker's queues by one guarded UPDATE, and takes its devices with it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.domain.jobs import Lane
from simorgh_shared.queue.leases import Lease

_BELOW_ALL = -101  # priorities begin at -100


@dataclass(frozen=True)
class Offer:
    """What a worker can take on now."""

    worker: str
    queues: Sequence[str]
    lanes: Sequence[Lane] = (Lane.LONG, Lane.SHORT)
    free_devices: Sequence[str] = ()
    num_devices: int = 0
    """All that it has, free or not: a job that needs more than are free may wait for them."""
    memory_bytes: int = 0
    reserve_after_s: float = 60.0
    """A job that needs several devices and has waited so long gets them as they fall free."""


def claim(session: Session, offer: Offer, *, token: str, lease_s: float) -> Lease | None:
    """Take the best eligible row of the offer's queues, or None.

    The caller makes the token, so that after a lost COMMIT answer `claimed_by` can tell what happened.
    """
    needs = {
        "lanes": list(offer.lanes),
        "free": len(offer.free_devices),
        "memory_bytes": offer.memory_bytes,
        "reserved": _reserved_priority(session, offer),
    }
    heads = session.execute(_PEEK, needs | {"queues": list(offer.queues)}).scalars()
    for queue in heads.all():
        row = session.execute(
            _CLAIM,
            needs
            | {
                "queue": queue,
                "worker": offer.worker,
                "token": token,
                "lease_s": lease_s,
                "devices": json.dumps(list(offer.free_devices)),
            },
        ).one_or_none()
        if row is not None:
            return _lease(row, token, offer.worker)
    return None


def claimed_by(session: Session, worker: str, token: str) -> Lease | None:
    """The job that holds this token, after a COMMIT whose answer was lost."""
    row = session.execute(
        sa.text(
            f"SELECT {_LEASE_COLUMNS} FROM jobs j JOIN attempts a ON a.job_id = j.id AND a.attempt = j.attempt"
            " WHERE j.lease_token = :token"
        ),
        {"token": token},
    ).one_or_none()
    return None if row is None else _lease(row, token, worker)


def _reserved_priority(session: Session, offer: Offer) -> int:
    """The priority of the job that devices are kept free for: jobs on devices up to it have to wait."""
    if len(offer.free_devices) == offer.num_devices:
        return _BELOW_ALL
    found = session.scalar(
        _RESERVED,
        {
            "queues": list(offer.queues),
            "lanes": list(offer.lanes),
            "free": len(offer.free_devices),
            "all": offer.num_devices,
            "reserve_after_s": offer.reserve_after_s,
        },
    )
    return _BELOW_ALL if found is None else int(found)


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
        devices=tuple(row.devices),
        queue=row.queue,
        lane=Lane(row.lane),
        waited_s=row.waited_s,
        traceparent=row.traceparent,
    )


_LEASE_COLUMNS = (
    "j.id, j.project_id, j.type, j.spec, j.attempt, j.checkpoint_id, j.init_checkpoint_id, j.step_done, a.devices,"
    " j.queue, j.lane, j.traceparent,"
    " greatest(0, extract(epoch FROM clock_timestamp() - greatest(j.queued_at, j.not_before)))::float8 AS waited_s"
)

_DUE = "j.status = 'queued' AND j.lane = ANY (:lanes) AND (j.not_before IS NULL OR j.not_before <= clock_timestamp())"

_ELIGIBLE = f"""
    {_DUE} AND j.num_gpus <= :free AND (j.num_gpus = 0 OR j.priority > :reserved)
    AND (j.min_memory_bytes = 0 OR j.min_memory_bytes <= :memory_bytes)
"""

_RESERVED = sa.text(
    f"""
    SELECT max(j.priority) FROM jobs j WHERE j.queue = ANY (:queues) AND {_DUE}
        AND j.num_gpus > :free AND j.num_gpus <= :all
        AND j.queued_at < clock_timestamp() - make_interval(secs => :reserve_after_s)
    """
)

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
        SELECT id, attempt, :worker, :token, coalesce(checkpoint_id, init_checkpoint_id),
            (SELECT coalesce(jsonb_agg(d.device ORDER BY d.place), '[]')
             FROM jsonb_array_elements(CAST(:devices AS jsonb)) WITH ORDINALITY AS d (device, place)
             WHERE d.place <= taken.num_gpus)
        FROM taken RETURNING job_id, devices
    ), told AS (
        INSERT INTO job_events (job_id, seq, attempt, type, payload)
        SELECT t.id, t.last_seq, t.attempt, 'running',
            jsonb_build_object('attempt', t.attempt, 'worker', CAST(:worker AS text), 'devices', a.devices)
        FROM taken t JOIN attempted a ON a.job_id = t.id
    ), clock AS (
        INSERT INTO queue_clocks AS c (queue, virtual_time) SELECT queue, fair_key FROM taken
        ON CONFLICT (queue) DO UPDATE SET virtual_time = greatest(c.virtual_time, excluded.virtual_time)
    )
    SELECT {_LEASE_COLUMNS} FROM taken j JOIN attempted a ON a.job_id = j.id
    """
)
