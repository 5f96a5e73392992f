"""Writes what a worker has to say of its jobs: fenced transactions that outlive an outage of the database."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared import tracing
from simorgh_shared.domain.jobs import Outcome
from simorgh_shared.logging import cause
from simorgh_shared.queue import endings
from simorgh_shared.queue.endings import Exit
from simorgh_shared.queue.leases import AppliedEvent, Lease, count_endings
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.settings import LeaseSettings
from simorgh_shared.storage.blobs import ArtifactLostError, mark_lost
from simorgh_shared.worker.heartbeat import Heartbeat
from simorgh_shared.worker.metering import Meter

log = structlog.get_logger()
_T = TypeVar("_T")
RETRY_S = 0.5


@dataclass(frozen=True)
class Ledger:
    """PostgreSQL first, listeners after the commit. One instance serves all slots of a worker."""

    sessions: sessionmaker[Session]
    publisher: Publisher
    times: LeaseSettings
    meter: Meter | None = None
    """Of the attempt that this one is for: its end says what it used."""

    def persist(self, write: Callable[[Session], _T], heart: Heartbeat | None = None) -> _T:
        """Run one fenced transaction, again and again while the database does not answer, within the grace.

        Raises: LeaseLostError; DBAPIError when the grace is over.
        """
        deadline = time.monotonic() + self.times.orphan_grace_s
        while True:
            try:
                with self.sessions.begin() as session:
                    return write(session)
            except DBAPIError as error:
                if not error.connection_invalidated and not _is_outage(error):
                    raise
                if time.monotonic() > deadline or (heart is not None and heart.lost):
                    raise
                log.warning("database_unreachable", reason=cause(error))
                time.sleep(RETRY_S)

    def publish(self, events: Sequence[AppliedEvent]) -> None:
        """Tell the listeners, and Prometheus, what has been committed."""
        count_endings(events)
        self.publisher.publish(events)

    def finish(self, write: Callable[[Session], AppliedEvent]) -> None:
        """End the attempt and tell the listeners."""
        used = self.meter.look() if self.meter is not None else None

        def write_both(session: Session) -> AppliedEvent:
            event = write(session)
            if self.meter is not None and used is not None:
                self.meter.keep(session, used)
            return event

        event = self.persist(write_both)
        self.publish([event])
        tracing.current().set("simorgh.status", event.type)
        log.info("attempt_ended", job_id=event.job_id, attempt=event.attempt, status=event.type)

    def fail(self, lease: Lease, code: str, params: dict[str, Any]) -> None:
        """End as failed: trying again would not help."""
        self.finish(lambda session: endings.fail(session, lease, code, params))

    def crash(self, lease: Lease, outcome: Outcome, code: str, params: dict[str, Any], how: Exit | None = None) -> None:
        """The attempt broke down: back to the queue, or failed when that came too often."""
        backoff_s = self.times.retry_backoff_s
        self.finish(lambda session: endings.crash(session, lease, outcome, code, params, backoff_s, how))

    def note_lost(self, lost: ArtifactLostError) -> None:
        """Remember that an object is gone or damaged, so that the same bytes are stored anew."""
        sha256 = lost.sha256
        if sha256 is not None:
            self.persist(lambda session: mark_lost(session, sha256))
        log.error("artifact_lost", path=lost.path, sha256=sha256)


def _is_outage(error: DBAPIError) -> bool:
    """Whether the database was not there, as opposed to it having refused the statement."""
    return getattr(error.orig, "sqlstate", None) in (
        None,
        "57P01",
        "57P02",
        "57P03",
        "08006",
        "08003",
        "40P01",
        "53300",
    )
