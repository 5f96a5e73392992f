"""Tickets of streams, what a project may use, and who changed what."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class StreamTicket(Base):
    """A right to one stream, by its hash; `opening` counts how often the stream was opened with it."""

    __tablename__ = "stream_tickets"
    ticket_hash: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(sa.ForeignKey("sessions.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    stream: Mapped[str]
    """Path and query in one spelling."""
    created_at: Mapped[CreatedAt]
    first_use_by: Mapped[datetime]
    expires_at: Mapped[datetime]
    opening: Mapped[int] = mapped_column(server_default="0")


class ProjectQuota(Base):
    """A project's own limits in place of the gateway's defaults; the operator sets them."""

    __tablename__ = "project_quotas"
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    queued_jobs: Mapped[int | None]
    stored_bytes: Mapped[int | None] = mapped_column(sa.BigInteger)
    gpu_hours: Mapped[float | None]
    updated_at: Mapped[CreatedAt]


class AuditEvent(Base):
    """One change, or one sign-in that failed. Written once, never changed."""

    __tablename__ = "audit_events"
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=sa.func.clock_timestamp())
    project_id: Mapped[str | None]
    user_id: Mapped[str | None]
    key_id: Mapped[str | None]
    session_id: Mapped[str | None]
    action: Mapped[str]
    targets: Mapped[list[str]] = mapped_column(server_default="{}")
    status: Mapped[int]
    address: Mapped[str]
    user_agent: Mapped[str]
    request_id: Mapped[str]
