"""Runs one claimed job to the end of its attempt, as its kind does it, whatever happens.

It never imports what a child runs.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from simorgh_shared import tracing
from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.domain.jobs import Outcome
from simorgh_shared.queue import endings, leases
from simorgh_shared.queue.leases import Lease, LeaseLostError
from simorgh_shared.settings import TariffSettings
from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_shared.worker import figures
from simorgh_shared.worker.draining import Draining
from simorgh_shared.worker.heartbeat import Heartbeat
from simorgh_shared.worker.kinds import Claimed, JobKind
from simorgh_shared.worker.ledger import Ledger
from simorgh_shared.worker.metering import Meter

log = structlog.get_logger()


@dataclass(frozen=True)
class Runner:
    """Runs claimed jobs; one instance serves all slots of a worker."""

    ledger: Ledger
    kinds: Mapping[str, JobKind]
    """By the job's type."""
    draining: Draining
    tariff: TariffSettings
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    """The live ones by job, for whoever is told that a job is wanted otherwise."""

    def run(self, lease: Lease) -> None:
        """Run one attempt. Whatever happens, the job's row is left in a state that someone goes on from."""
        now = time.time()
        tracing.record("queued", parent=lease.traceparent, begun_s=now - lease.waited_s, ended_s=now)
        told: tracing.Attributes = {
            "simorgh.job_id": lease.job_id,
            "simorgh.attempt": lease.attempt,
            "simorgh.queue": lease.queue,
        }
        with tracing.span(f"attempt {lease.type}", told, parent=lease.traceparent):
            self._run(lease)

    def _run(self, lease: Lease) -> None:
        meter = Meter(lease, self.tariff)
        ledger = replace(self.ledger, meter=meter)
        with figures.running(lease), Heartbeat(ledger.sessions, lease, ledger.times, meter) as heart:
            self.heartbeats[lease.job_id] = heart
            try:
                self.kinds[lease.type].run(Claimed(lease, heart, ledger, self.draining, meter))
            except LeaseLostError:
                log.warning("lease_lost", job_id=lease.job_id, attempt=lease.attempt)
                leases.note_stale_write(ledger.sessions, lease, "run")
            except ArtifactLostError as error:
                ledger.note_lost(error)
                ledger.fail(lease, "artifact_lost", {"path": error.path})
            except UnavailableError as error:
                if self.draining.is_set():  # there was no time left to wait for what is silent
                    ledger.finish(lambda session: endings.leave(session, lease, Outcome.DRAINED))
                else:
                    ledger.crash(lease, Outcome.CRASHED, "job_failed", {"reason": str(error)})
            except AppError as error:
                ledger.fail(lease, error.code, dict(error.params))
            except Exception as error:
                log.exception("attempt_broke", job_id=lease.job_id, attempt=lease.attempt)
                reason = f"{type(error).__name__} in the worker; its log says more"
                ledger.crash(lease, Outcome.CRASHED, "job_failed", {"reason": reason})
            finally:
                self.heartbeats.pop(lease.job_id, None)
