"""What a trainer worker is told by its environment."""

from pydantic import Field, SecretStr

from simorgh_shared.settings import HttpUrl
from simorgh_shared.worker.settings import WorkerSettings


class TrainerSettings(WorkerSettings):
    """Settings of `simorgh-trainer-worker`."""

    inference_url: HttpUrl = "http://127.0.0.1:8100"
    """Where the inference server answers."""
    internal_key: SecretStr | None = None
    """With this key batches ask the inference server."""
    batch_at_once: int = Field(4, ge=1)
    """So many requests of one batch are asked at a time."""
