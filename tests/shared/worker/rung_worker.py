"""A Celery worker of one slot whose only task sleeps 50 ms and notes its end: `rung_worker.py REDIS_URL POOL`."""

import sys
import time

from redis import Redis

from simorgh_shared.queue.celery_app import make_app
from simorgh_shared.queue.channels import RING_TASK

DONE = "done"


def main(redis_url: str, pool: str) -> None:
    redis = Redis.from_url(redis_url)
    app = make_app(redis_url)

    @app.task(name=RING_TASK, ignore_result=True)
    def ring() -> None:
        time.sleep(0.050)
        redis.rpush(DONE, time.monotonic())

    app.Worker(queues="io", concurrency=1, pool=pool, without_gossip=True, without_mingle=True, quiet=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
