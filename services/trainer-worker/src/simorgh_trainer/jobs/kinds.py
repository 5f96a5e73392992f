"""The kinds of jobs that this worker does, and the ways in which it does them.

Work of milliseconds runs in the worker's own process; anything longer, or with torch, in a child. A batch waits for
the inference server, and needs no process for that.
"""

from collections.abc import Mapping

from simorgh_shared.domain.jobs import JobType
from simorgh_shared.worker.attempt import WithChild
from simorgh_shared.worker.in_process import InProcess
from simorgh_shared.worker.kinds import ChildKind, InProcessKind, JobKind
from simorgh_shared.worker.process import Launcher
from simorgh_trainer.jobs import converting, importing, optimize, probe, statistics, train
from simorgh_trainer.jobs.batch import Batch

IN_PROCESS: Mapping[str, InProcessKind] = {JobType.PROBE: probe}
WITH_CHILD: Mapping[str, ChildKind] = {
    JobType.TRAIN: train,
    JobType.IMPORT: importing,
    JobType.CONVERT: converting,
    JobType.STATISTICS: statistics,
    JobType.OPTIMIZE: optimize,
}


def job_kinds(launcher: Launcher, batch: Batch) -> dict[str, JobKind]:
    """All of them, for the runner."""
    in_process = {type: InProcess(kind) for type, kind in IN_PROCESS.items()}
    own: dict[str, JobKind] = {JobType.BATCH: batch}
    return in_process | own | {type: WithChild(launcher, kind) for type, kind in WITH_CHILD.items()}
