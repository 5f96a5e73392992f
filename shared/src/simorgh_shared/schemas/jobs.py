"""Jobs as the API shows them."""

from datetime import datetime
from typing import Any, Literal

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


class EventPage(BaseModel):
    """Events of a job in order. `next_cursor` asks for those after them; null means that there are no more now."""

    ok: Literal[True] = True
    data: list[EventView]
    next_cursor: int | None


class LogPage(BaseModel):
    """What happened to a job, a line an event. `next_cursor` asks for the lines after these."""

    ok: Literal[True] = True
    data: list[str]
    next_cursor: int | None


class MetricsPoint(BaseModel):
    """What was measured at a step. Members that were not measured then are left out; others may come."""

    model_config = ConfigDict(extra="allow")
    step: int
    loss: float | None = None
    """Nats a token, over the steps since the point before."""
    eval_loss: float | None = None
    """Held-out, nats a token."""
    eval_loss_per_char: float | None = None
    perplexity: float | None = None
    token_accuracy: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_s: float | None = None
    flop_utilisation: float | None = None
    memory_bytes: float | None = None
    eta_s: float | None = None


class PriorityBody(BaseModel):
    """A new priority."""

    model_config = ConfigDict(extra="forbid")
    priority: int = Field(ge=-100, le=100)
    """Higher is sooner."""
