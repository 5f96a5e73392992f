"""Job states, their transitions and the kinds of job: the vocabulary of the engine (architecture 5)."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job is. Active: queued, running, waiting. Resting: paused, stopped. Terminal: the rest."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    STOPPED = "stopped"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether the job holds or awaits a worker."""
        return self in ACTIVE

    @property
    def is_terminal(self) -> bool:
        """Whether the job can never change again."""
        return self in TERMINAL


ACTIVE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING})
RESTING = frozenset({JobStatus.PAUSED, JobStatus.STOPPED})
TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})


class DesiredState(StrEnum):
    """What the user wants of a job; the worker reads it with each heartbeat."""

    RUN = "run"
    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"

    @property
    def resting_status(self) -> JobStatus:
        """The status of a job whose process left because this was asked."""
        return _AFTER_LEAVING[self]


_AFTER_LEAVING = {
    DesiredState.RUN: JobStatus.QUEUED,
    DesiredState.PAUSE: JobStatus.PAUSED,
    DesiredState.STOP: JobStatus.STOPPED,
    DesiredState.CANCEL: JobStatus.CANCELLED,
}


class JobType(StrEnum):
    """Kinds of work. A new kind follows docs/recipes.md."""

    TRAIN = "train"
    IMPORT = "import"
    """Checks files that were sent straight to storage, and makes a dataset version of them."""
    CONVERT = "convert"
    """Makes a dataset with rows of another kind."""
    PROBE = "probe"
    """Does nothing for a while in the worker's own process: shows that a queue is served and how fast."""
    STATISTICS = "statistics"
    """Looks through a new dataset version: lengths, duplicates, leaks between splits, personal data."""
    TRANSCRIBE = "transcribe"
    """Writes down what is said in an audio file, or translates it."""
    SYNTHESIZE = "synthesize"
    """Speaks a text."""
    EVALUATE_SPEECH = "evaluate_speech"
    """Compares models by what they hear in an audio dataset: one `hear_clips` for each of them."""
    HEAR_CLIPS = "hear_clips"
    """Has one model transcribe the clips of an audio dataset, and scores each against its text."""
    CONVERT_MODEL = "convert_model"
    """Makes a model of another format, for the engine that runs it."""
    OPTIMIZE = "optimize"
    """Makes another form of a model, and measures both on the same rows."""
    BATCH = "batch"
    """Asks models the requests of a file, line by line."""


UNMETERED = frozenset({JobType.STATISTICS})
"""Work that the platform gives itself: no quota counts or refuses it."""


class Lane(StrEnum):
    """Slots of their own, so that long work never holds up short work of the same queue."""

    SHORT = "short"
    LONG = "long"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    LEFT = "left"
    """As asked: paused, stopped or cancelled."""
    DELEGATED = "delegated"
    """Its children do the work; it runs again when they have ended."""
    DRAINED = "drained"
    """The worker is shutting down; the job went back to its queue."""
    MOVED = "moved"
    """The job turned out to be work for another lane, and waits there."""
    CRASHED = "crashed"
    STALLED = "stalled"
    LOST = "lost"
    """The lease expired."""
    FAILED = "failed"
    """The job explained why it cannot be done: no retry."""


MAX_FAILURES_IN_ROW = 3
"""Crashes and lost workers without a committed checkpoint between them before a job is given up."""


class Queue(StrEnum):
    """Names of the Celery queues and of `jobs.queue`."""

    TRAIN_GPU = "train.gpu"
    TRAIN_CPU = "train.cpu"
    OPTIMIZE_GPU = "optimize.gpu"
    OPTIMIZE_CPU = "optimize.cpu"
    VOICE_GPU = "voice.gpu"
    VOICE_CPU = "voice.cpu"
    IO = "io"
