"""What a project uses, and what it may use."""

from pydantic import BaseModel, Field


class CountUsage(BaseModel):
    """A number and its limit."""

    used: int
    limit: int


class GpuUsage(BaseModel):
    """Hours of GPUs, each counted for itself, and their limit."""

    used: float
    limit: float
    window_days: float = Field(description="Counted over so many days back from now.")


class UsageView(BaseModel):
    """What a project uses. Beyond a limit, what would add to it is refused with 429; nothing is stopped or deleted."""

    project_id: str
    queued_jobs: CountUsage
    stored_bytes: CountUsage = Field(
        description="Of datasets, models, checkpoints and files that are not deleted, equal content counted once."
    )
    gpu_hours: GpuUsage
