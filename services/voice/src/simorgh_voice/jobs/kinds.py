"""The kinds of jobs that this worker does."""

from simorgh_shared.domain.jobs import JobType
from simorgh_shared.worker.kinds import JobKind
from simorgh_voice.attempt import WithEngine, Workplace
from simorgh_voice.jobs import synthesize, transcribe


def job_kinds(workplace: Workplace) -> dict[str, JobKind]:
    """All of them, for the runner."""
    return {
        JobType.TRANSCRIBE: WithEngine(workplace, transcribe),
        JobType.SYNTHESIZE: WithEngine(workplace, synthesize),
    }
