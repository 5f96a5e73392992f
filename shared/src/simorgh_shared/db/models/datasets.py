"""Datasets and their versions."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Dataset(Base):
    """A named dataset of a project."""

    __tablename__ = "datasets"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class DatasetVersion(Base):
    """The content of a dataset at one time: a manifest of files. Jobs name a version, never a dataset."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        sa.UniqueConstraint("dataset_id", "version"),
        sa.UniqueConstraint("dataset_id", "content_sha256", "row_schema"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(sa.ForeignKey("datasets.id", ondelete="CASCADE"))
    version: Mapped[int]
    manifest_id: Mapped[str | None] = mapped_column(sa.ForeignKey("manifests.id"))
    """None once the files of a deleted version were let go; their hashes are in `splits`."""
    content_sha256: Mapped[str]
    row_schema: Mapped[str]
    columns: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """How the kept files name a field, where not as the schema does: uploads are kept under the schema's names."""
    source_columns: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """How the file that was sent named each field."""
    rows: Mapped[int] = mapped_column(sa.BigInteger)
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    splits: Mapped[list[Any]] = mapped_column(server_default="[]")
    """Of each split, train first, its rows, bytes and sha256, and what the check counted."""
    statistics: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    """What the statistics job found; large, so it is loaded where it is asked for."""
    statistics_job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
