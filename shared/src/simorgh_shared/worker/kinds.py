"""What a worker has to know of the kinds of jobs that it does. A service names its kinds when it makes its runner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.orm import Session

from simorgh_shared.queue.leases import Lease
from simorgh_shared.queue.parents import ChildJob
from simorgh_shared.queue.submit import NewJob
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.draining import Draining
from simorgh_shared.worker.heartbeat import Heartbeat
from simorgh_shared.worker.ledger import Ledger
from simorgh_shared.worker.metering import Meter
from simorgh_shared.worker.process import LaunchPlan


@dataclass(frozen=True)
class Claimed:
    """A claimed job, and what its attempt works with."""

    lease: Lease
    heart: Heartbeat
    ledger: Ledger
    draining: Draining
    """Set once the worker is to end."""
    meter: Meter
    """Told which processes work for the attempt."""


class JobKind(Protocol):
    """How attempts of a kind of job are run."""

    def run(self, claimed: Claimed) -> None:
        """Run one attempt and write its end. What it raises instead, the runner writes as the end."""


class InProcessKind(Protocol):
    """Work of milliseconds, for the worker's own process."""

    def run(self, spec: dict[str, Any], children: Sequence[ChildJob]) -> dict[str, Any] | Sequence[NewJob]:
        """The result; or jobs to wait for: when they have ended it runs again, and is given them as `children`.

        Raises: ValueError or AppError for what cannot be done.
        """


class ChildKind(Protocol):
    """Anything longer, or with torch: a child process for each attempt."""

    def plan(self, session: Session, lease: Lease) -> LaunchPlan:
        """What the child needs.

        Raises: AppError when something of it is gone.
        """

    def keep(self, session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
        """Insert the rows of what the child made, in the transaction that ends the job.

        `result` is the child's last event, `entries` the stored files of the folder that it names. What is returned
        joins the job's result.
        """

    def checkpoints_kept(self, lease: Lease) -> int:
        """How many checkpoints of the job stay."""
