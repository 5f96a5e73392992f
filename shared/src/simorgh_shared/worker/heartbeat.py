"""Keeps a lease alive from a thread of its own, and brings back what the user wants."""

import threading
import time

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.jobs import DesiredState
from simorgh_shared.logging import cause
from simorgh_shared.queue import leases
from simorgh_shared.queue.leases import Lease, LeaseLostError, Wishes
from simorgh_shared.settings import LeaseSettings
from simorgh_shared.worker.metering import Meter

log = structlog.get_logger()


class Heartbeat:
    """Sends a heartbeat every few seconds, counted from before it was sent, and sooner when woken."""

    def __init__(
        self, sessions: sessionmaker[Session], lease: Lease, times: LeaseSettings, meter: Meter | None = None
    ) -> None:
        self._sessions = sessions
        self.lease = lease
        self._times = times
        self.meter = meter
        """What it used so far is kept with each beat: of an attempt that breaks down, that is known."""
        self._wake = threading.Event()
        self._ended = False
        self._last_answer = time.monotonic()
        self.lost = False
        """The job belongs to another attempt: kill the child at once."""
        self.wishes = Wishes(DesiredState.RUN, None)
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{lease.job_id}", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Ask the database now: someone wants something."""
        self._wake.set()

    @property
    def silent_s(self) -> float:
        """How long the database has not answered."""
        return time.monotonic() - self._last_answer

    def _beat(self) -> None:
        while not self._ended and not self.lost:
            begun = time.monotonic()
            try:
                used = self.meter.look() if self.meter is not None else None
                with self._sessions.begin() as session:
                    self.wishes = leases.heartbeat(session, self.lease, self._times.lease_s)
                    if self.meter is not None and used is not None:
                        self.meter.keep(session, used)
                self._last_answer = begun
            except LeaseLostError:
                self.lost = True
            except DBAPIError as error:
                log.warning("heartbeat_failed", job_id=self.lease.job_id, reason=cause(error))
            self._wake.wait(max(0.05, begun + self._times.heartbeat_s - time.monotonic()))
            self._wake.clear()
