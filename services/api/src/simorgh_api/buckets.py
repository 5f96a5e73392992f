"""Token buckets in Redis that all gateways share, and in the process for as long as Redis does not answer.

A frozen Redis costs the requests of one moment 20 ms each and no request its answer: the first one that waits in vain
opens the circuit, and a thread beside the requests closes it when Redis answers again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from simorgh_shared.logging import cause

log = structlog.get_logger()
_TIMEOUT_S = 0.02
_PROBE_S = 1.0
_NUM_KEPT = 20_000  # of the process's own: some 4 MB
# All buckets give or none does, by the server's clock. Answers the seconds to wait, as text: numbers come back cut.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local amount, wait, levels = tonumber(ARGV[1]), 0, {}
for i, key in ipairs(KEYS) do
    local burst, per_s = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    local kept = redis.call('HMGET', key, 'level', 'at')
    local level = tonumber(kept[1]) or burst
    level = math.min(burst, level + math.max(0, now - (tonumber(kept[2]) or now)) * per_s)
    if level < amount then wait = math.max(wait, (amount - level) / per_s) end
    levels[i] = level
end
if wait == 0 then
    for i, key in ipairs(KEYS) do
        local burst, per_s = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
        local level = math.min(burst, levels[i] - amount)
        redis.call('HSET', key, 'level', string.format('%.6f', level), 'at', string.format('%.6f', now))
        redis.call('EXPIRE', key, math.ceil((burst - level) / per_s) + 1)
    end
end
return string.format('%.6f', wait)
"""


@dataclass(frozen=True)
class Bucket:
    """Holds `burst` tokens when full and gets `per_s` a second."""

    key: str
    burst: float
    per_s: float


class Buckets:
    """Takes tokens from buckets. Threads may share it."""

    def __init__(
        self, redis_url: str, timeout_s: float = _TIMEOUT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = Redis.from_url(
            redis_url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # a connection asks nothing of the server before the first command
            driver_info=None,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),  # they lengthen timeouts
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._own = _OwnBuckets(clock)
        self._lock = threading.Lock()
        self._is_broken = False
        self._closing = threading.Event()

    @property
    def is_shared(self) -> bool:
        """Whether the buckets are those in Redis now."""
        return not self._is_broken

    def take(self, *buckets: Bucket) -> float:
        """Take a token from each, or none from any: then the seconds until there is one (0: taken)."""
        return self._move(1, buckets)

    def give_back(self, *buckets: Bucket) -> None:
        """Put back what was taken."""
        self._move(-1, buckets)

    def close(self) -> None:
        """Let the connections go."""
        self._closing.set()
        self._redis.close()

    def _move(self, amount: int, buckets: tuple[Bucket, ...]) -> float:
        if not self._is_broken:
            numbers = [number for bucket in buckets for number in (bucket.burst, bucket.per_s)]
            try:
                return float(self._script([f"limit:{bucket.key}" for bucket in buckets], [amount, *numbers]))
            except (RedisError, OSError) as error:
                self._open_circuit(error)
        return self._own.move(amount, buckets)

    def _open_circuit(self, error: Exception) -> None:
        with self._lock:
            if self._is_broken:
                return
            self._is_broken = True
        log.warning("limits_in_process", reason=cause(error))
        threading.Thread(target=self._close_circuit, name="limits-probe", daemon=True).start()

    def _close_circuit(self) -> None:
        while not self._closing.wait(_PROBE_S):
            try:
                self._redis.ping()
            except (RedisError, OSError):
                continue
            self._is_broken = False
            log.info("limits_in_redis")
            return


class _OwnBuckets:
    """The same in this process, the least recently used forgotten first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def move(self, amount: int, buckets: tuple[Bucket, ...]) -> float:
        """As `Buckets.take`; a negative amount gives back."""
        with self._lock:
            now = self._clock()
            levels = [self._level(bucket, now) for bucket in buckets]
            waits = [(amount - level) / bucket.per_s for bucket, level in zip(buckets, levels, strict=True)]
            if (wait := max(waits)) > 0:
                return wait
            for bucket, level in zip(buckets, levels, strict=True):
                self._kept[bucket.key] = (min(bucket.burst, level - amount), now)
                self._kept.move_to_end(bucket.key)
            while len(self._kept) > _NUM_KEPT:
                self._kept.popitem(last=False)
            return 0.0

    def _level(self, bucket: Bucket, now: float) -> float:
        level, at = self._kept.get(bucket.key, (bucket.burst, now))
        return min(bucket.burst, level + (now - at) * bucket.per_s)
