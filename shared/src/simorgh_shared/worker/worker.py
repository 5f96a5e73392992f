"""A worker: claims jobs for its free slots whenever it is rung, at start-up and every few seconds."""

import json
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared import allowance
from simorgh_shared.logging import cause
from simorgh_shared.queue import claiming, leases
from simorgh_shared.queue.channels import REDIS_CONTROL
from simorgh_shared.queue.claiming import Offer
from simorgh_shared.queue.leases import Lease
from simorgh_shared.settings import LeaseSettings
from simorgh_shared.worker.capacity import Devices, Slot, Slots
from simorgh_shared.worker.forced_end import end_in_time
from simorgh_shared.worker.runner import Runner

log = structlog.get_logger()
_NO_HEARTBEAT_FOR_S = 600


@dataclass(frozen=True)
class OnIdle:
    """What a worker does that nobody needs."""

    after_s: float
    """So long without a job."""
    end: Callable[[], None]


class Worker:
    """Slots, claims, and the row that tells others that this worker lives."""

    def __init__(
        self,
        name: str,
        queues: Sequence[str],
        slots: Slots,
        devices: Devices,
        sessions: sessionmaker[Session],
        runner: Runner,
        times: LeaseSettings,
    ) -> None:
        self.name = name
        self._queues = list(queues)
        self._slots = slots
        self._devices = devices
        self._sessions = sessions
        self._runner = runner
        self._times = times
        self._on_idle: OnIdle | None = None
        self._looked_at = -math.inf
        """When the database last said what there is to do."""
        self._memory_bytes = allowance.memory_bytes()
        self._stopped = threading.Event()
        self.is_listed = False
        """Whether others know that it serves its queues."""
        self._num_calls = 0
        """How often there was reason to look; an increment lost between threads is one reason the less to look."""

    def start(self, redis: "Redis", on_idle: OnIdle | None = None) -> None:
        """Begin to poll, and to listen for wishes. Needs PostgreSQL alone; Redis only makes it quick."""
        self._on_idle = on_idle
        leases.expect_endings(self._queues)
        threading.Thread(target=self._poll, name="poll", daemon=True).start()
        threading.Thread(target=self._listen, args=(redis,), name="control", daemon=True).start()

    def drain(self) -> None:
        """Take no more jobs; the running ones save and go back to their queue."""
        if self._runner.draining.begin():
            threading.Thread(
                target=end_in_time, args=(self._runner, self._stopped, self.stop), name="drain", daemon=True
            ).start()
        for heart in list(self._runner.heartbeats.values()):
            heart.wake()

    def join(self) -> None:
        """Wait until no slot is taken."""
        self._slots.wait_until_all_free()

    def stop(self) -> None:
        """Leave the list of workers."""
        self._stopped.set()
        try:
            with self._sessions.begin() as session:
                session.execute(sa.text("DELETE FROM workers WHERE id = :id"), {"id": self.name})
        except DBAPIError as error:
            log.warning("worker_row_left", reason=cause(error))

    def work(self) -> None:
        """Claim and run jobs until none is eligible. Returns at once where all slots are taken."""
        self._num_calls += 1
        while not self._runner.draining.is_set():
            num_calls = self._num_calls
            if not any(self._work_on_one(slot) for slot in self._slots.kinds) and num_calls == self._num_calls:
                return  # nobody rang while the last look held a slot

    def _work_on_one(self, slot: Slot) -> bool:
        """Claim and run one job on a slot of this kind, where one is free."""
        if not self._slots.take(slot):
            return False
        lease = None
        try:
            lease = self._claim(slot)
            if lease is None:
                return False
            log.info("job_claimed", job_id=lease.job_id, attempt=lease.attempt, type=lease.type)
            try:
                self._runner.run(lease)
            finally:
                self._devices.give_back(lease.devices)
            return True
        finally:
            self._slots.give_back(slot, was_used=lease is not None)

    def _claim(self, slot: Slot) -> Lease | None:
        with self._devices.offered() as free:
            offer = Offer(
                worker=self.name,
                queues=self._queues,
                lanes=slot,
                free_devices=tuple(free),
                num_devices=len(self._devices.all),
                memory_bytes=self._memory_bytes,
                reserve_after_s=self._times.reserve_after_s,
            )
            lease = self._claim_what_fits(offer)
            for device in lease.devices if lease is not None else ():
                free.remove(device)
        return lease

    def _claim_what_fits(self, offer: Offer) -> Lease | None:
        token, begun = secrets.token_hex(16), time.monotonic()
        try:
            with self._sessions.begin() as session:
                lease = claiming.claim(session, offer, token=token, lease_s=self._times.lease_s)
            self._looked_at = begun
            return lease
        except DBAPIError as error:
            log.warning("claim_failed", reason=cause(error))
        try:  # the COMMIT may have been done and only its answer lost
            with self._sessions() as session:
                return claiming.claimed_by(session, self.name, token)
        except DBAPIError:
            return None  # the reaper will put it back

    def _poll(self) -> None:
        while not self._stopped.is_set():
            try:
                self._tell_alive()
                self.is_listed = True
            except DBAPIError as error:
                log.warning("worker_heartbeat_failed", reason=cause(error))
            self._end_if_idle()
            if self._slots.num_free:
                # A thread of its own, because a job may take days and the row above must stay fresh.
                threading.Thread(target=self.work, name="polled-work", daemon=True).start()
            self._stopped.wait(self._every_s)

    @property
    def _every_s(self) -> float:
        """How often to look, and to tell that this worker lives."""
        every_s = min(self._times.poll_s, self._times.heartbeat_s)
        return every_s if self._on_idle is None else min(every_s, max(0.1, self._on_idle.after_s))

    def _end_if_idle(self) -> None:
        """A look at the end of the idle time found nothing: a worker that cannot look does not know, and stays."""
        idle = self._on_idle
        if idle is None or self._runner.draining.is_set():
            return
        if self._slots.close_if_unused_since(self._looked_at - idle.after_s):
            log.info("worker_idle", for_s=idle.after_s)
            idle.end()

    def _tell_alive(self) -> None:
        with self._sessions.begin() as session:
            session.execute(
                sa.text(
                    "INSERT INTO workers (id, queues, lanes, devices, slots, draining) VALUES"
                    " (:id, :queues, :lanes, CAST(:devices AS jsonb), :slots, :draining)"
                    " ON CONFLICT (id) DO UPDATE"
                    " SET heartbeat_at = clock_timestamp(), draining = excluded.draining"
                ),
                {
                    "id": self.name,
                    "queues": self._queues,
                    "lanes": list(self._slots.lanes),
                    "devices": json.dumps([device.as_json() for device in self._devices.all]),
                    "slots": self._slots.num_slots,
                    "draining": self._runner.draining.is_set(),
                },
            )
            session.execute(
                sa.text("DELETE FROM workers WHERE heartbeat_at < clock_timestamp() - make_interval(secs => :age_s)"),
                {"age_s": _NO_HEARTBEAT_FOR_S},
            )

    def _listen(self, redis: "Redis") -> None:
        while not self._stopped.is_set():
            try:
                with redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(REDIS_CONTROL)
                    while not self._stopped.is_set():
                        message = pubsub.get_message(timeout=1.0)
                        heart = self._runner.heartbeats.get(message["data"].decode()) if message else None
                        if heart is not None:
                            heart.wake()
            except RedisError:
                self._stopped.wait(1.0)  # heartbeats bring the wishes meanwhile
