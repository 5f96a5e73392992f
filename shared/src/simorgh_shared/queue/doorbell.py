"""Rings a queue: a Celery message without content. The dispatcher alone does this."""

from celery import Celery
from redis import Redis

from simorgh_shared.queue.channels import RING_TASK


class Doorbell:
    """Rings queues and says how many rings still wait."""

    def __init__(self, app: Celery, redis: "Redis") -> None:
        self._app = app
        self._redis = redis

    def ring(self, queue: str, times: int) -> None:
        """Put `times` rings on a queue."""
        for _ in range(times):
            self._app.send_task(RING_TASK, queue=queue, ignore_result=True, retry=False)

    def waiting(self, queue: str) -> int:
        """How many rings no worker has taken yet."""
        length = self._redis.llen(queue)
        assert isinstance(length, int)
        return length
