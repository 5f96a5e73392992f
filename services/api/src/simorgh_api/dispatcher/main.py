"""Entry of `simorgh-dispatcher`: rings queues, passes pushes on, reaps lost leases, collects blobs.

Any number may run; the one that holds the duty works. Nothing here decides about a job: PostgreSQL does.
"""

import argparse
import contextlib
import os
import queue
import signal
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from prometheus_client import Counter, Gauge, Histogram
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from simorgh_api.dispatcher import depths, duty, retention
from simorgh_api.dispatcher.clearing import clear_uploads, sweep_incoming
from simorgh_api.dispatcher.collecting import collect_blobs, sweep_parts
from simorgh_api.dispatcher.listen import Listener
from simorgh_api.dispatcher.ring import needs, ring
from simorgh_api.dispatcher.ring_spans import RingSpans
from simorgh_api.dispatcher.settings import DispatcherSettings
from simorgh_api.usecases import monitoring
from simorgh_shared import exposition, health, tracing
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.logging import cause, configure_logging
from simorgh_shared.monitoring.sampler import Sampled, Sampler
from simorgh_shared.queue import leases, parents
from simorgh_shared.queue.celery_app import make_app
from simorgh_shared.queue.channels import NOTIFY_CONTROL, NOTIFY_EVENTS, REDIS_CONTROL
from simorgh_shared.queue.doorbell import Doorbell
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.queue.reaping import Reaper
from simorgh_shared.settings import settings_or_exit
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.incoming import IncomingStore
from simorgh_shared.storage.s3 import make_client

log = structlog.get_logger()
_DESCRIPTION = "Rings queues, passes pushes on and puts lost jobs back; any number of them may run."
_DUTY = "dispatch"
_SWEPT_AFTER = timedelta(days=1)
_RINGS = Counter("simorgh_rings_total", "Rings sent to the queues")
_REAPED = Counter("simorgh_reaped_leases_total", "Expired leases put back")
_HAS_DUTY = Gauge("simorgh_dispatcher_has_duty", "Whether this dispatcher is the one that works")
_ROUND_SECONDS = Histogram(
    "simorgh_dispatcher_round_seconds", "One look at leases, parents and queues, with what had to be done"
)
_FAILED_ROUNDS = Counter("simorgh_dispatcher_failed_rounds_total", "Rounds in which a part did not answer", ["part"])
for _part in ("database", "broker"):
    _FAILED_ROUNDS.labels(_part)
_LOOK_S = 5.0  # a scrape comes every 15 s


class Dispatcher:
    """The loop. `heard` may be called from any thread."""

    def __init__(self, settings: DispatcherSettings) -> None:
        self._settings = settings
        self._holder = f"{socket.gethostname()}-{os.getpid()}"
        self._engine = make_engine(settings.database_url.get_secret_value(), pool_size=3, name="simorgh-dispatcher")
        self._sessions = make_sessions(self._engine)
        redis_url = settings.redis_url.get_secret_value()
        self._redis: Redis = Redis.from_url(redis_url, socket_timeout=5, socket_connect_timeout=2)
        self._doorbell = Doorbell(make_app(redis_url), self._redis)
        self._publisher = Publisher(self._redis)
        client = make_client(settings)
        self._store = BlobStore(client, settings.s3_bucket)
        self._incoming = IncomingStore(client, client, settings.s3_bucket)
        self._reaper = Reaper(self._sessions, settings.lease_s, settings.reap_watch_s, settings.retry_backoff_s)
        self._heard: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._next_collection = time.monotonic() + settings.collect_every_s
        self._next_clearing = time.monotonic()
        self._next_look = time.monotonic()
        self._stopped = threading.Event()
        self._rings = RingSpans()

    def heard(self, channel: str, payload: str) -> None:
        """Something was notified."""
        self._heard.put((channel, payload))

    def stop(self) -> None:
        """End after the current round."""
        self._stopped.set()
        self._heard.put(("", ""))

    def sampler(self) -> Sampler:
        """What samples this process, and the queues while it has the duty."""
        sampled = Sampled("dispatcher", Path.cwd(), more=depths.as_figures)
        return Sampler(self._sessions, self._settings, sampled)

    @property
    def checks(self) -> dict[str, health.Check]:
        """Its parts, for readiness."""
        return health.service_checks(self._engine, self._store, self._redis)

    def run(self) -> None:
        """Work until stopped."""
        while not self._stopped.is_set():
            try:
                self._round()
            except (OperationalError, InterfaceError, PoolTimeoutError) as error:
                self._reaper.database_was_down()
                self._rest("database")
                log.warning("database_unreachable", reason=cause(error))
                self._stopped.wait(1.0)
            except (RedisError, OSError) as error:
                _FAILED_ROUNDS.labels("broker").inc()
                log.warning("broker_unreachable", reason=cause(error))
                self._stopped.wait(1.0)
            self._pass_on()
        self._rest()
        try:
            with self._sessions.begin() as session:
                duty.give_up(session, _DUTY, self._holder)
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:  # then another takes it in its time
            log.warning("duty_not_given_up", reason=cause(error))

    def _round(self) -> None:
        with self._sessions.begin() as session:
            if not duty.hold(session, _DUTY, self._holder, self._settings.duty_s):
                self._rest()
                return
        _HAS_DUTY.set(1)
        with _ROUND_SECONDS.time():
            self._work()

    def _rest(self, silent_part: str | None = None) -> None:
        """Tell nothing of the queues: another has the duty, or nobody knows."""
        _HAS_DUTY.set(0)
        depths.DEPTHS.last = None
        if silent_part is not None:
            _FAILED_ROUNDS.labels(silent_part).inc()

    def _work(self) -> None:
        reaped = self._reaper.reap()
        if reaped:
            _REAPED.inc(len(reaped))
            leases.count_endings(reaped)
            log.warning("leases_reaped", job_ids=[event.job_id for event in reaped])
        with self._sessions.begin() as session:
            advanced = parents.advance(session)
        with self._sessions() as session:
            wanted = needs(session)
            self._rings.look(session)
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _LOOK_S
                depths.DEPTHS.last = depths.read(session)
        if wanted:
            _RINGS.inc(ring(self._doorbell, wanted))
        self._rings.tell(wanted)
        self._publisher.publish(reaped)
        self._publisher.tell(advanced)
        if time.monotonic() >= self._next_collection:
            self._next_collection = time.monotonic() + self._settings.collect_every_s
            retention.let_go(self._sessions, self._settings.rules)
            with self._sessions.begin() as session:
                monitoring.prune(session)
            collect_blobs(self._sessions, self._store, self._settings.blob_unused_s)
            with contextlib.suppress(UnavailableError):  # the storage is silent: next time
                sweep_incoming(self._sessions, self._incoming, datetime.now(UTC) - _SWEPT_AFTER)
                sweep_parts(self._store, datetime.now(UTC) - _SWEPT_AFTER)
        if time.monotonic() >= self._next_clearing:
            self._next_clearing = time.monotonic() + self._settings.upload_clear_every_s
            clear_uploads(self._sessions, self._incoming, self._settings.upload_unfinished_days)

    def _pass_on(self) -> None:
        """Wait for a notification or the next round; send on to Redis what workers and gateways want at once."""
        try:
            messages = [self._heard.get(timeout=min(self._settings.poll_s, 1.0))]
        except queue.Empty:
            return
        while not self._heard.empty():
            messages.append(self._heard.get())
        try:
            for channel, payload in messages:
                if channel == NOTIFY_CONTROL:
                    self._redis.publish(REDIS_CONTROL, payload)
        except RedisError as error:
            log.warning("broker_unreachable", reason=cause(error))
        self._publisher.tell([payload for channel, payload in messages if channel in (NOTIFY_EVENTS, NOTIFY_CONTROL)])


def main() -> None:
    """Dispatch until told to end."""
    argparse.ArgumentParser(prog="simorgh-dispatcher", description=_DESCRIPTION).parse_args()
    settings = settings_or_exit(DispatcherSettings, "simorgh-dispatcher")
    configure_logging("dispatcher", settings.log_level)
    exposition.introduce("dispatcher")
    tracing.configure_tracing("dispatcher")
    dispatcher = Dispatcher(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dispatcher.stop())
    if settings.metrics_port is not None:
        health.serve_health(settings.metrics_host, settings.metrics_port, dispatcher.checks)
    direct = settings.database_direct_url or settings.database_url
    listener = Listener(direct.get_secret_value(), dispatcher.heard)
    listener.start()
    sampler = dispatcher.sampler()
    sampler.start()
    log.info("dispatcher_ready")
    dispatcher.run()
    sampler.stop()
    tracing.flush()
    listener.stop()


if __name__ == "__main__":
    main()
