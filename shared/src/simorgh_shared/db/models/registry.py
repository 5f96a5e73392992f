"""Models, their versions and aliases."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Model(Base):
    """A named model of a project."""

    __tablename__ = "models"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str]
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class ModelVersion(Base):
    """A self-contained model folder by its manifest."""

    __tablename__ = "model_versions"
    __table_args__ = (sa.UniqueConstraint("model_id", "version"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[str] = mapped_column(sa.ForeignKey("models.id", ondelete="CASCADE"))
    version: Mapped[int]
    kind: Mapped[str]
    format: Mapped[str]
    manifest_id: Mapped[str | None] = mapped_column(sa.ForeignKey("manifests.id"))
    """None once the files of a deleted version were let go; their hashes are in `lineage` then."""
    job_id: Mapped[str | None] = mapped_column(sa.ForeignKey("jobs.id"))
    checkpoint_id: Mapped[str | None] = mapped_column(sa.ForeignKey("checkpoints.id"))
    num_parameters: Mapped[int | None] = mapped_column(sa.BigInteger)
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    lineage: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    metrics: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    traits: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    """What it can be used for: `architecture`, `can`, `languages` (model_folders/traits.py)."""
    created_at: Mapped[CreatedAt]


class Alias(Base):
    """A name such as `champion` that points at one version of a model."""

    __tablename__ = "aliases"
    model_id: Mapped[str] = mapped_column(sa.ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    model_version_id: Mapped[str] = mapped_column(sa.ForeignKey("model_versions.id"))
    updated_at: Mapped[CreatedAt]


class AliasChange(Base):
    """What an alias was set to, and by whom; the newest is what it points at now."""

    __tablename__ = "alias_changes"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    model_id: Mapped[str] = mapped_column(sa.ForeignKey("models.id", ondelete="CASCADE"))
    name: Mapped[str]
    model_version_id: Mapped[str] = mapped_column(sa.ForeignKey("model_versions.id", ondelete="CASCADE"))
    changed_by: Mapped[str | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    at: Mapped[CreatedAt]
