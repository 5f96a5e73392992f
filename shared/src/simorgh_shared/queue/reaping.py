"""Puts jobs back whose worker went silent. A worker is believed dead on three grounds, never on a clock alone."""

import time
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.jobs import Outcome, Queue
from simorgh_shared.queue import claiming, endings, leases
from simorgh_shared.queue.leases import AppliedEvent


@dataclass
class Reaper:
    """Requeues expired leases.

    A lease is reaped when the database has answered for one lease (`lease_s`), the lease is expired by the
    database's clock, and this process has seen the same token and expiry for `watch_s` on its own boot clock: so a
    jump of the database's clock changes nothing.
    """

    sessions: sessionmaker[Session]
    lease_s: float
    watch_s: float
    backoff_s: float
    _up_since: float | None = None
    _seen: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        leases.expect_endings(Queue, (Outcome.LOST,))

    def database_was_down(self) -> None:
        """Start waiting anew: workers could not send heartbeats either."""
        self._up_since = None
        self._seen.clear()

    def reap(self) -> list[AppliedEvent]:
        """Look once; returns the events of the jobs that were put back or given up."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        with self.sessions() as session:
            running = session.execute(
                sa.text(
                    "SELECT id, lease_token, lease_owner, lease_expires_at::text AS expires,"
                    " lease_expires_at < clock_timestamp() AS expired FROM jobs WHERE status = 'running'"
                )
            ).all()
        if self._up_since is None:
            self._up_since = now
        keys = {(row.id, row.lease_token, row.expires): row for row in running}
        self._seen = {key: self._seen.get(key, now) for key in keys}
        if now - self._up_since < self.lease_s:
            return []
        return [
            event
            for key, row in keys.items()
            if row.expired and now - self._seen[key] >= self.watch_s
            for event in self._put_back(key, row.lease_owner)
        ]

    def _put_back(self, key: tuple[str, str, str], worker: str) -> list[AppliedEvent]:
        job_id, token, expires = key
        with self.sessions.begin() as session:
            row = session.execute(
                sa.text(
                    "SELECT attempt FROM jobs WHERE id = :id AND lease_token = :token"
                    " AND lease_expires_at::text = :expires AND lease_expires_at < clock_timestamp() FOR UPDATE"
                ),
                {"id": job_id, "token": token, "expires": expires},
            ).one_or_none()
            lease = None if row is None else claiming.claimed_by(session, worker, token)
            if lease is None:
                return []
            return [endings.crash(session, lease, Outcome.LOST, "lost_worker", {"worker": worker}, self.backoff_s)]
