"""What was heard: transcripts by the job that made them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Transcript(Base):
    """The text of an audio file, with its times. It lives as long as its job; the audio goes earlier."""

    __tablename__ = "transcripts"
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    model_version_id: Mapped[str | None] = mapped_column(sa.ForeignKey("model_versions.id", ondelete="SET NULL"))
    task: Mapped[str]
    language: Mapped[str | None]
    """None where nothing was said and none was forced."""
    language_probability: Mapped[float | None]
    duration_s: Mapped[float]
    text: Mapped[str]
    segments: Mapped[list[Any]] = mapped_column(deferred=True)
    """As `simorgh_shared.speech.transcript` writes them; large, so they are loaded where they are asked for."""
    created_at: Mapped[CreatedAt]
