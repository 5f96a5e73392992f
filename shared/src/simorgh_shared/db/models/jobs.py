"""Jobs, their attempts, events, metrics and checkpoints."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Job(Base):
    """The queue itself: one row is one piece of work. Written by `simorgh_shared.queue` alone."""

    __tablename__ = "jobs"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    type: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    tags: Mapped[list[str]] = mapped_column(server_default="{}")
    queue: Mapped[str]
    lane: Mapped[str] = mapped_column(server_default="long")
    spec: Mapped[dict[str, Any]]
    spec_version: Mapped[int] = mapped_column(server_default="1")
    priority: Mapped[int] = mapped_column(server_default="0")
    fair_key: Mapped[float]
    num_gpus: Mapped[int] = mapped_column(server_default="0")
    num_nodes: Mapped[int] = mapped_column(server_default="1")
    min_memory_bytes: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    status: Mapped[str] = mapped_column(server_default="queued")
    desired_state: Mapped[str] = mapped_column(server_default="run")
    checkpoint_requested_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(server_default="0")
    failures_in_row: Mapped[int] = mapped_column(server_default="0")
    not_before: Mapped[datetime | None]
    lease_owner: Mapped[str | None]
    lease_token: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    last_seq: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    progress: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    step_done: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    checkpoint_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("checkpoints.id", name="jobs_checkpoint", use_alter=True)
    )
    init_checkpoint_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("checkpoints.id", name="jobs_init_checkpoint", use_alter=True)
    )
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    idempotency_key: Mapped[str | None]
    idempotency_hash: Mapped[str | None]
    parent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))
    experiment_id: Mapped[str | None]
    traceparent: Mapped[str | None]
    """W3C trace context of the request that made it, where traces are kept."""
    created_at: Mapped[CreatedAt]
    queued_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    hidden_at: Mapped[datetime | None]


class Attempt(Base):
    """One claim of a job by a worker. `applied_line` is how far its child's event file has been applied."""

    __tablename__ = "attempts"
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    worker: Mapped[str]
    lease_token: Mapped[str] = mapped_column(unique=True)
    devices: Mapped[list[Any]] = mapped_column(server_default="[]")
    outcome: Mapped[str | None]
    signal: Mapped[int | None]
    exit_code: Mapped[int | None]
    applied_line: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    checkpoint_in: Mapped[str | None]
    checkpoint_out: Mapped[str | None]
    usage: Mapped[dict[str, Any] | None]
    """What it used so far: processor time, energy, devices, and what that costs."""
    started_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]


class JobEvent(Base):
    """What happened, in order: `seq` counts from 1 without a gap within a job. Never updated."""

    __tablename__ = "job_events"
    __table_args__ = (sa.UniqueConstraint("job_id", "seq"),)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id", ondelete="CASCADE"))
    seq: Mapped[int] = mapped_column(sa.BigInteger)
    attempt: Mapped[int]
    type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    at: Mapped[CreatedAt]


class Metric(Base):
    """A measured value at a step; where two attempts measured the same step, the later one stands."""

    __tablename__ = "metrics"
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    attempt: Mapped[int]
    value: Mapped[float]
    at: Mapped[datetime]


class Checkpoint(Base):
    """A saved state of a job that another attempt, or another job, can start from."""

    __tablename__ = "checkpoints"
    __table_args__ = (sa.UniqueConstraint("job_id", "step"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    step: Mapped[int] = mapped_column(sa.BigInteger)
    reason: Mapped[str]
    manifest_id: Mapped[str] = mapped_column(sa.ForeignKey("manifests.id"))
    created_at: Mapped[CreatedAt]
