"""How much waits and runs in each queue, told to Prometheus by the dispatcher that has the duty, and by no other.

Another one tells nothing: a figure that it read when it last had the duty would stand beside the true one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from simorgh_shared.domain.jobs import Lane, Queue

STATES = ("queued", "delayed", "running", "waiting")
"""Eligible now; to be tried again later; on a worker; a parent whose children work."""
_FRESH_S = 30.0


@dataclass(frozen=True)
class Depths:
    """What was found at one moment, by queue and lane."""

    jobs: dict[tuple[str, str, str], int]
    """By queue, lane and state."""
    oldest_s: dict[tuple[str, str], float]
    """How long the job has waited that has waited longest."""
    slots: dict[str, int]
    """Of the workers that live and take jobs of the queue; a worker of several queues counts in each."""


def read(session: Session) -> Depths:
    """Look: one pass over the jobs that are active, and over the workers."""
    rows = session.execute(_JOBS).all()
    slots = session.execute(_SLOTS, {"fresh_s": _FRESH_S}).all()
    return Depths(
        {(row.queue, row.lane, row.state): row.jobs for row in rows},
        {(row.queue, row.lane): row.oldest_s for row in rows if row.state == "queued"},
        {row.queue: row.slots for row in slots},
    )


class DepthCollector(Collector):
    """Shows what was read last; nothing where that was given up."""

    def __init__(self) -> None:
        self.last: Depths | None = None

    def describe(self) -> Iterable[Metric]:
        """Their names."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """A series for each queue and lane, zeros too."""
        last = self.last
        jobs, oldest, slots = self._families()
        if last is None:
            return ()
        for queue in Queue:
            slots.add_metric([queue], last.slots.get(queue, 0))
            for lane in Lane:
                oldest.add_metric([queue, lane], last.oldest_s.get((queue, lane), 0.0))
                for state in STATES:
                    jobs.add_metric([queue, lane, state], last.jobs.get((queue, lane, state), 0))
        return jobs, oldest, slots

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "simorgh_queue_jobs", "Jobs that are not at their end", labels=["queue", "lane", "state"]
            ),
            GaugeMetricFamily(
                "simorgh_queue_oldest_seconds", "How long the oldest eligible job has waited", labels=["queue", "lane"]
            ),
            GaugeMetricFamily("simorgh_queue_slots", "Slots of live workers that take its jobs", labels=["queue"]),
        )


DEPTHS = DepthCollector()
REGISTRY.register(DEPTHS)


def as_figures() -> dict[str, float | None]:
    """What was read last, for the history: by queue that has jobs or workers, its lanes together; zeros too."""
    last = DEPTHS.last
    if last is None:
        return {}
    found: dict[str, float | None] = {}
    for queue in {*last.slots, *(queue for queue, _, _ in last.jobs)}:  # of the others there is nothing to tell
        found |= {f"queue_{queue}_{state}": 0 for state in STATES} | {f"queue_{queue}_oldest_age_s": 0.0}
    for (queue, _, state), number in last.jobs.items():
        found[f"queue_{queue}_{state}"] = (found.get(f"queue_{queue}_{state}") or 0) + number
    for (queue, _), age_s in last.oldest_s.items():
        found[f"queue_{queue}_oldest_age_s"] = max(found.get(f"queue_{queue}_oldest_age_s") or 0.0, age_s)
    return found


# Three looks, because each of these states has an index of its own and all rows together have none.
_JOBS = sa.text(
    """
    WITH active AS (
        SELECT queue, lane, CASE WHEN not_before > clock_timestamp() THEN 'delayed' ELSE 'queued' END AS state,
            greatest(queued_at, not_before) AS since FROM jobs WHERE status = 'queued'
        UNION ALL SELECT queue, lane, 'running', started_at FROM jobs WHERE status = 'running'
        UNION ALL SELECT queue, lane, 'waiting', started_at FROM jobs WHERE status = 'waiting'
    )
    SELECT queue, lane, state, count(*) AS jobs,
        greatest(0, extract(epoch FROM clock_timestamp() - min(since)))::float8 AS oldest_s
    FROM active GROUP BY 1, 2, 3
    """
)

_SLOTS = sa.text(
    """
    SELECT unnest(queues) AS queue, sum(slots)::int AS slots FROM workers
    WHERE NOT draining AND heartbeat_at > clock_timestamp() - make_interval(secs => :fresh_s) GROUP BY 1
    """
)
