"""Runs one claimed job to the end of its attempt, in this process or in a child, whatever happens.

It never imports what a child runs.
"""

import threading
from dataclasses import dataclass

import structlog

from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.domain.jobs import Outcome
from simorgh_shared.queue import endings, leases, parents
from simorgh_shared.queue.leases import Lease, LeaseLostError
from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_trainer.attempt import Attempt
from simorgh_trainer.heartbeat import Heartbeat
from simorgh_trainer.jobs.kinds import IN_PROCESS, WITH_CHILD, InProcessKind
from simorgh_trainer.ledger import Ledger
from simorgh_trainer.process import Launcher

log = structlog.get_logger()


@dataclass(frozen=True)
class Runner:
    """Runs claimed jobs; one instance serves all slots of a worker."""

    ledger: Ledger
    launcher: Launcher
    draining: threading.Event
    heartbeats: dict[str, Heartbeat]
    """The live ones by job, for whoever is told that a job is wanted otherwise."""

    def run(self, lease: Lease) -> None:
        """Run one attempt. Whatever happens, the job's row is left in a state that someone goes on from."""
        ledger = self.ledger
        with Heartbeat(ledger.sessions, lease, ledger.times) as heart:
            self.heartbeats[lease.job_id] = heart
            try:
                if lease.type in IN_PROCESS:
                    self._run_in_process(lease, IN_PROCESS[lease.type])
                else:
                    Attempt(ledger, self.launcher, self.draining, lease, heart, WITH_CHILD[lease.type]).run()
            except LeaseLostError:
                log.warning("lease_lost", job_id=lease.job_id, attempt=lease.attempt)
                leases.note_stale_write(ledger.sessions, lease, "run")
            except ArtifactLostError as error:
                ledger.note_lost(error)
                ledger.fail(lease, "artifact_lost", {"path": error.path})
            except UnavailableError as error:
                ledger.crash(lease, Outcome.CRASHED, "job_failed", {"reason": str(error)})
            except AppError as error:
                ledger.fail(lease, error.code, dict(error.params))
            except Exception as error:
                log.exception("attempt_broke", job_id=lease.job_id, attempt=lease.attempt)
                reason = f"{type(error).__name__} in the worker; its log says more"
                ledger.crash(lease, Outcome.CRASHED, "job_failed", {"reason": reason})
            finally:
                self.heartbeats.pop(lease.job_id, None)

    def _run_in_process(self, lease: Lease, kind: InProcessKind) -> None:
        with self.ledger.sessions() as session:
            children = parents.children(session, lease.job_id)
        try:
            outcome = kind.run(lease.spec, children)
        except ValueError as error:
            self.ledger.fail(lease, "job_failed", {"reason": str(error)})
            return
        if isinstance(outcome, dict):
            self.ledger.finish(lambda session: endings.succeed(session, lease, outcome))
        else:
            self.ledger.finish(lambda session: parents.wait_for(session, lease, outcome))
