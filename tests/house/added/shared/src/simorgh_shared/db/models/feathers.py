"""Feathers that a project keeps."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Feather(Base):
    """One feather."""

    __tablename__ = "feathers"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    colour: Mapped[str]
    job_id: Mapped[str] = mapped_column(sa.ForeignKey("jobs.id"))
    created_at: Mapped[CreatedAt]
