"""The kinds of jobs that this worker does: requests to warm engines, children, and the evaluation, a parent."""

from collections.abc import Mapping

from simorgh_shared.domain.jobs import JobType
from simorgh_shared.worker.attempt import WithChild
from simorgh_shared.worker.kinds import ChildKind, JobKind
from simorgh_shared.worker.process import Launcher
from simorgh_voice.attempt import WithEngine, Workplace
from simorgh_voice.jobs import convert_model, hear_clips, synthesize, transcribe
from simorgh_voice.jobs.evaluate_speech import Evaluation
from simorgh_voice.kinds import EngineKind

WITH_ENGINE: Mapping[str, EngineKind] = {
    JobType.TRANSCRIBE: transcribe,
    JobType.SYNTHESIZE: synthesize,
    JobType.HEAR_CLIPS: hear_clips,
}
WITH_CHILD: Mapping[str, ChildKind] = {JobType.CONVERT_MODEL: convert_model}


def job_kinds(workplace: Workplace, launcher: Launcher) -> dict[str, JobKind]:
    """All of them, for the runner."""
    with_engine = {type: WithEngine(workplace, kind) for type, kind in WITH_ENGINE.items()}
    own = {JobType.EVALUATE_SPEECH: Evaluation(workplace)}
    return with_engine | own | {type: WithChild(launcher, kind) for type, kind in WITH_CHILD.items()}
