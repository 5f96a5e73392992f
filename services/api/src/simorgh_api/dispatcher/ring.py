"""How many rings a queue needs: as many as idle slots can use, less those that wait already."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.queue.doorbell import Doorbell

_FRESH_S = 30.0

_NEEDS = sa.text(
    """
    WITH eligible AS (
        SELECT queue, count(*) AS jobs FROM (
            SELECT queue FROM jobs WHERE status = 'queued' AND (not_before IS NULL OR not_before <= clock_timestamp())
            LIMIT 10000) AS first_jobs GROUP BY queue
    ), busy AS (
        SELECT lease_owner AS id, count(*) AS jobs FROM jobs WHERE status = 'running' GROUP BY lease_owner
    ), idle AS (
        SELECT unnest(w.queues) AS queue, greatest(w.slots - coalesce(b.jobs, 0), 0) AS slots
        FROM workers w LEFT JOIN busy b USING (id)
        WHERE NOT w.draining AND w.heartbeat_at > clock_timestamp() - make_interval(secs => :fresh_s)
    )
    SELECT e.queue, least(e.jobs, sum(i.slots))::int AS rings FROM eligible e JOIN idle i USING (queue)
    GROUP BY e.queue, e.jobs
    """
)


def needs(session: Session) -> Mapping[str, int]:
    """Rings by queue that idle slots could answer now."""
    return {row.queue: row.rings for row in session.execute(_NEEDS, {"fresh_s": _FRESH_S}) if row.rings > 0}


def ring(doorbell: Doorbell, wanted: Mapping[str, int]) -> int:
    """Ring the queues, less the rings that wait; returns how many were sent."""
    sent = 0
    for queue, rings in wanted.items():
        missing = rings - doorbell.waiting(queue)
        if missing > 0:
            doorbell.ring(queue, missing)
            sent += missing
    return sent
