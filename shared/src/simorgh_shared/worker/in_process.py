"""Attempts in the worker's own process: no child, and nothing to go on from."""

from dataclasses import dataclass

from simorgh_shared.queue import endings, parents
from simorgh_shared.worker.kinds import Claimed, InProcessKind


@dataclass(frozen=True)
class InProcess:
    """A kind of job that runs in the worker's own process."""

    kind: InProcessKind

    def run(self, claimed: Claimed) -> None:
        """Run it; the job ends, or waits for those that it asked for."""
        lease, ledger = claimed.lease, claimed.ledger
        with ledger.sessions() as session:
            children = parents.children(session, lease.job_id)
        try:
            outcome = self.kind.run(lease.spec, children)
        except ValueError as error:
            ledger.fail(lease, "job_failed", {"reason": str(error)})
            return
        if isinstance(outcome, dict):
            ledger.finish(lambda session: endings.succeed(session, lease, outcome))
        else:
            ledger.finish(lambda session: parents.wait_for(session, lease, outcome))
