"""Blobs by content, the manifests that name them, and uploaded files."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Blob(Base):
    """Bytes in storage, known by their hash. `key` is unique per upload and never reused."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[CreatedAt]
    lost_at: Mapped[datetime | None]


class BlobDeletion(Base):
    """An object whose blob row is gone and that storage still has to drop."""

    __tablename__ = "blob_deletions"
    key: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    noted_at: Mapped[CreatedAt]


class Manifest(Base):
    """A folder of blobs that never changes: a dataset version, a checkpoint, a model."""

    __tablename__ = "manifests"
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    bytes: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")
    created_at: Mapped[CreatedAt]


class ManifestEntry(Base):
    """One file of a manifest."""

    __tablename__ = "manifest_entries"
    manifest_id: Mapped[str] = mapped_column(sa.ForeignKey("manifests.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(sa.ForeignKey("blobs.sha256"))
    bytes: Mapped[int] = mapped_column(sa.BigInteger)


class File(Base):
    """A file that a user sent, for any purpose."""

    __tablename__ = "files"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    purpose: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(sa.ForeignKey("blobs.sha256"))
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    created_by: Mapped[str | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]
