"""Tells listeners about events after their commit. Best effort: a listener reads PostgreSQL when it misses one."""

import json
from collections.abc import Sequence

import structlog
from redis import Redis
from redis.exceptions import RedisError

from simorgh_shared.logging import cause
from simorgh_shared.queue.channels import REDIS_EVENTS
from simorgh_shared.queue.leases import AppliedEvent

log = structlog.get_logger()


class Publisher:
    """Publishes applied events on Redis."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    def publish(self, events: Sequence[AppliedEvent]) -> None:
        """Send events in order; a dead Redis costs their quickness and nothing else."""
        self._send([as_message(event) for event in events])

    def tell(self, job_ids: Sequence[str]) -> None:
        """Say that these jobs have events to read."""
        self._send([json.dumps({"job_id": job_id}) for job_id in job_ids])

    def _send(self, messages: Sequence[str]) -> None:
        if not messages:
            return
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for message in messages:
                    pipe.publish(REDIS_EVENTS, message)
                pipe.execute()
        except RedisError as error:
            log.debug("publish_failed", reason=cause(error))


def as_message(event: AppliedEvent) -> str:
    """The JSON of an event as it goes over the channel."""
    return json.dumps(
        {
            "job_id": event.job_id,
            "seq": event.seq,
            "attempt": event.attempt,
            "type": event.type,
            "payload": event.payload,
            "at": event.at.isoformat(),
        },
        ensure_ascii=False,
    )
