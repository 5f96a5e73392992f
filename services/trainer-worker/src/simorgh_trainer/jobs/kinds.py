"""The kinds of jobs that this worker does, and the two ways in which it does them.

Work of milliseconds runs in the worker's own process; anything longer, or with torch, in a child.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy.orm import Session

from simorgh_shared.domain.jobs import JobType
from simorgh_shared.queue.leases import Lease
from simorgh_shared.queue.parents import ChildJob
from simorgh_shared.queue.submit import NewJob
from simorgh_shared.storage.manifests import Entry
from simorgh_trainer.jobs import converting, importing, probe, statistics, train
from simorgh_trainer.process import LaunchPlan


class InProcessKind(Protocol):
    """Runs in the worker's own process."""

    def run(self, spec: dict[str, Any], children: Sequence[ChildJob]) -> dict[str, Any] | Sequence[NewJob]:
        """The result; or jobs to wait for: when they have ended it runs again, and is given them as `children`.

        Raises: ValueError or AppError for what cannot be done.
        """


class ChildKind(Protocol):
    """Runs in a child process."""

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


IN_PROCESS: Mapping[str, InProcessKind] = {JobType.PROBE: probe}
WITH_CHILD: Mapping[str, ChildKind] = {
    JobType.TRAIN: train,
    JobType.IMPORT: importing,
    JobType.CONVERT: converting,
    JobType.STATISTICS: statistics,
}
