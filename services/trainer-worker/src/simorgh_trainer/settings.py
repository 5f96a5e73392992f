"""What a trainer worker is told by its environment."""

from simorgh_shared.worker.settings import WorkerSettings


class TrainerSettings(WorkerSettings):
    """Settings of `simorgh-trainer-worker`."""
