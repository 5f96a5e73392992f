"""Files that clients send straight to storage, until a job has taken them in."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Upload(Base):
    """One file on its way: its object lies under `incoming/` until the job that takes it in has ended."""

    __tablename__ = "uploads"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    purpose: Mapped[str]
    name: Mapped[str]
    """The file's, which is data and never a path."""
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    part_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    """The size of each part but the last."""
    sha256: Mapped[str | None]
    """What the client says; the job checks it."""
    fingerprint: Mapped[str | None]
    """By which a client knows its file again."""
    options: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """What becomes of the file."""
    key: Mapped[str] = mapped_column(unique=True)
    storage_id: Mapped[str | None]
    """The storage's id of the parts; None for a file that came in one piece."""
    status: Mapped[str] = mapped_column(server_default="open")
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[CreatedAt]
    cleared_at: Mapped[datetime | None]
    """When nothing of it was left under `incoming/`."""
