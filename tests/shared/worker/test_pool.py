"""The pool whose finished task wakes the event loop, without the claim loop that would hide it."""

import subprocess
import sys
import time
from pathlib import Path

from redis import Redis

from simorgh_shared.queue.celery_app import make_app
from simorgh_shared.queue.doorbell import Doorbell
from tests.shared.worker.rung_worker import DONE

_NUM_RINGS = 20
_WITHIN_S = 60.0


class TestWakingThreadPool:
    def test_twenty_rings_of_50_ms_end_within_four_times_their_work(self, redis_url: str, tmp_path: Path) -> None:
        """Architecture 5: with Celery's own thread pool the next ring waits up to a second (18 times the work)."""
        log = tmp_path / "worker.log"
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.shared.worker.rung_worker",
                    redis_url,
                    "simorgh_shared.worker.pool:WakingThreadPool",
                ],
                stdout=output,
                stderr=output,
            )
        try:
            with Redis.from_url(redis_url) as redis:
                Doorbell(make_app(redis_url), redis).ring("io", _NUM_RINGS)
                deadline = time.monotonic() + _WITHIN_S
                while redis.llen(DONE) < _NUM_RINGS:
                    assert time.monotonic() < deadline, log.read_text()[-2000:]
                    time.sleep(0.02)
                done_at = [float(at) for at in redis.lrange(DONE, 0, -1)]
        finally:
            worker.terminate()
            worker.wait(30)
        work_s = 0.050 * (_NUM_RINGS - 1)  # after the first
        assert done_at[-1] - done_at[0] < 4 * work_s
