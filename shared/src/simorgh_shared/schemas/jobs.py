"""Jobs as the API shows them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class JobView(BaseModel):
    """One job of any kind."""

    id: str
    type: str
    name: str
    tags: list[str]
    status: str
    desired_state: str
    queue: str
    priority: int
    attempt: int
    step: int | None
    total_steps: int | None
    progress: dict[str, Any]
    checkpoint_id: str | None
    spec: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class EventView(BaseModel):
    """One event of a job; `seq` counts from 1 without a gap."""

    seq: int
    attempt: int
    type: str
    payload: dict[str, Any]
    at: datetime


class CheckpointView(BaseModel):
    """A saved state from which a new job can start (`init_checkpoint`)."""

    id: str
    job_id: str
    step: int
    reason: str
    bytes: int
    created_at: datetime


class PriorityBody(BaseModel):
    """A new priority."""

    model_config = ConfigDict(extra="forbid")
    priority: int = Field(ge=-100, le=100)
    """Higher is sooner."""
