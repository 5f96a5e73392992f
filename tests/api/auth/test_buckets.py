"""Token buckets in a real Redis, and in the process while it is away."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from simorgh_api.buckets import Bucket, Buckets
from simorgh_cli.backing.servers import BackingServers
from tests.api.auth.conftest import frozen
from tests.support.ports import free_port

NEVER = 0.001
"""A rate at which nothing comes while a test runs."""


@pytest.fixture
def shared(redis_url: str) -> Iterator[Buckets]:
    """Patient, so that a busy machine does not open its circuit."""
    made = Buckets(redis_url, timeout_s=5)
    yield made
    made.close()


def until(claim: Callable[[], bool], within_s: float = 20) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


class TestInRedis:
    """R-AUTH-5."""

    def test_threads_and_processes_get_the_burst_together_and_no_more(self, redis_url: str, shared: Buckets) -> None:
        """R-AUTH-5: one script, so that two never take the same token."""
        other = Buckets(redis_url, timeout_s=5)
        bucket = Bucket("together", burst=50, per_s=NEVER)
        with ThreadPoolExecutor(16) as pool:
            waits = list(pool.map(lambda n: (shared, other)[n % 2].take(bucket), range(200)))
        assert shared.is_shared
        assert other.is_shared
        assert waits.count(0.0) == 50
        other.close()

    def test_what_one_refuses_is_taken_from_none(self, shared: Buckets) -> None:
        """R-AUTH-5: a refusal is told how long to wait, and costs nothing."""
        empty, full = Bucket("empty", burst=1, per_s=0.5), Bucket("full", burst=1, per_s=NEVER)
        assert shared.take(empty) == 0
        assert 1 < shared.take(empty, full) <= 2
        assert shared.take(full) == 0

    def test_what_is_given_back_can_be_taken_and_never_overflows(self, shared: Buckets) -> None:
        """R-AUTH-5."""
        bucket = Bucket("back", burst=1, per_s=NEVER)
        shared.take(bucket)
        for _ in range(3):
            shared.give_back(bucket)
        assert shared.take(bucket) == 0
        assert shared.take(bucket) > 0


class TestInProcess:
    """R-AUTH-5, architecture 6: limits hold without Redis."""

    def test_a_bucket_of_the_process_empties_and_fills_by_its_clock(self) -> None:
        """R-AUTH-5."""
        now = [100.0]
        buckets = Buckets(f"redis://127.0.0.1:{free_port()}/0", clock=lambda: now[0])
        one, other = Bucket("one", burst=2, per_s=0.5), Bucket("other", burst=5, per_s=1)
        assert [buckets.take(one, other) for _ in range(3)] == [0, 0, 2]
        assert not buckets.is_shared
        now[0] += 2
        assert [buckets.take(one), buckets.take(one)] == [0, 2]
        buckets.give_back(one)
        assert buckets.take(one) == 0
        assert [buckets.take(other) for _ in range(6)].count(0) == 5
        buckets.close()

    def test_a_frozen_redis_costs_one_wait_and_is_found_again(self, fragile: BackingServers) -> None:
        """R-AUTH-5, architecture 6: 20 ms and a circuit breaker."""
        buckets = Buckets(fragile.endpoints().redis_url)
        bucket = Bucket("frozen", burst=1000, per_s=1)
        buckets.take(bucket)
        until(lambda: buckets.is_shared)
        with frozen(fragile):
            began = time.perf_counter()
            assert [buckets.take(bucket) for _ in range(500)] == [0.0] * 500
            took_s = time.perf_counter() - began
        assert took_s < 0.5, "500 waits of 20 ms would be 10 s"
        until(lambda: buckets.is_shared)
        assert buckets.take(bucket) == 0
        buckets.close()
