"""The engine's own bookkeeping: workers, duties, fair shares, writes that came too late."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Worker(Base):
    """A worker process that claims jobs."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[list[str]]
    lanes: Mapped[list[str]]
    devices: Mapped[list[Any]] = mapped_column(server_default="[]")
    slots: Mapped[int]
    draining: Mapped[bool] = mapped_column(server_default="false")
    started_at: Mapped[CreatedAt]
    heartbeat_at: Mapped[CreatedAt]


class Duty(Base):
    """Who does a thing that one process at a time should do, and until when."""

    __tablename__ = "duties"
    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    expires_at: Mapped[datetime]


class QueueClock(Base):
    """The virtual time of a queue: the fair key of the last job claimed from it."""

    __tablename__ = "queue_clocks"
    queue: Mapped[str] = mapped_column(primary_key=True)
    virtual_time: Mapped[float] = mapped_column(server_default="0")


class FairShare(Base):
    """The virtual time up to which a project has used a queue."""

    __tablename__ = "fair_shares"
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    queue: Mapped[str] = mapped_column(primary_key=True)
    virtual_time: Mapped[float] = mapped_column(server_default="0")


class StaleWrite(Base):
    """A write that was refused because its attempt had lost the lease."""

    __tablename__ = "stale_writes"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    job_id: Mapped[str]
    lease_token: Mapped[str]
    operation: Mapped[str]
    at: Mapped[CreatedAt]
