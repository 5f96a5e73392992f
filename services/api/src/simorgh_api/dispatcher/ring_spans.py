"""The dispatcher's part of each job's trace: from when the job was queued to when its queue had been rung."""

import time
from collections.abc import Container
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared import tracing

_MOST = 500
_OF_LATE_S = 30.0


@dataclass(frozen=True)
class _Queued:
    job_id: str
    queue: str
    traceparent: str
    queued_s: float


class RingSpans:
    """Tells each job once. Without traces nothing is asked."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._found: list[_Queued] = []

    def look(self, session: Session) -> None:
        """Find what was queued of late: a worker that looked by itself may have it already."""
        if not tracing.is_on():
            return
        rows = session.execute(_LATELY, {"of_late_s": _OF_LATE_S, "most": _MOST})
        found = [_Queued(row.id, row.queue, row.traceparent, row.queued_s) for row in rows]
        known = {one.job_id: one.queued_s for one in found if self._told.get(one.job_id) == one.queued_s}
        self._found = [one for one in found if one.job_id not in known]
        self._told = known

    def tell(self, rung: Container[str]) -> None:
        """The queues of some of them have been rung; for the others no slot was idle."""
        for job in self._found:
            told: tracing.Attributes = {
                "simorgh.job_id": job.job_id,
                "simorgh.queue": job.queue,
                "simorgh.rung": job.queue in rung,
            }
            tracing.record("dispatch", told, parent=job.traceparent, begun_s=job.queued_s, ended_s=time.time())
            self._told[job.job_id] = job.queued_s
        self._found = []


_LATELY = sa.text(
    """
    SELECT id, queue, traceparent, extract(epoch FROM queued_at)::float8 AS queued_s FROM jobs
    WHERE status IN ('queued', 'running') AND traceparent IS NOT NULL
        AND queued_at > clock_timestamp() - make_interval(secs => :of_late_s) LIMIT :most
    """
)
