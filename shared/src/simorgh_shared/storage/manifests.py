"""Manifests: folders of blobs that never change. A dataset version, a checkpoint and a model are each one."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Blob, Manifest, ManifestEntry
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage.blobs import BlobStore, StoredBlob


@dataclass(frozen=True)
class Entry:
    """A file of a manifest: a relative path with `/`, and the blob that holds its bytes."""

    path: str
    blob: StoredBlob


def create(session: Session, kind: str, entries: Sequence[Entry]) -> str:
    """Insert a manifest with its entries; the blobs must be stored already. Returns its id."""
    if not entries:
        raise ValueError("a manifest needs at least one file")
    manifest_id = new_id("man")
    session.add(Manifest(id=manifest_id, kind=kind, bytes=sum(entry.blob.bytes for entry in entries)))
    session.flush()
    session.execute(
        sa.insert(ManifestEntry),
        [
            {
                "manifest_id": manifest_id,
                "path": entry.path,
                "sha256": entry.blob.sha256,
                "bytes": entry.blob.bytes,
            }
            for entry in entries
        ],
    )
    return manifest_id


def content_sha256(entries: Sequence[Entry]) -> str:
    """One hash for a whole folder: of the lines that `sha256sum` writes for its files in the order of their paths."""
    lines = sorted((entry.path, entry.blob.sha256) for entry in entries)
    return hashlib.sha256("".join(f"{sha256}  {path}\n" for path, sha256 in lines).encode()).hexdigest()


def entries(session: Session, manifest_id: str | None) -> list[Entry]:
    """The files of a manifest by path; empty when there is no such manifest."""
    rows = session.execute(
        sa.select(ManifestEntry.path, Blob.sha256, Blob.bytes, Blob.key)
        .join(Blob, Blob.sha256 == ManifestEntry.sha256)
        .where(ManifestEntry.manifest_id == manifest_id)
        .order_by(ManifestEntry.path)
    )
    return [Entry(row.path, StoredBlob(row.sha256, row.bytes, row.key)) for row in rows]


def find(session: Session, manifest_id: str | None, paths: Collection[str]) -> list[Entry]:
    """Those of these files that a manifest has, by path: it may have very many others."""
    rows = session.execute(
        sa.select(ManifestEntry.path, Blob.sha256, Blob.bytes, Blob.key)
        .join(Blob, Blob.sha256 == ManifestEntry.sha256)
        .where(ManifestEntry.manifest_id == manifest_id, ManifestEntry.path.in_(paths))
        .order_by(ManifestEntry.path)
    )
    return [Entry(row.path, StoredBlob(row.sha256, row.bytes, row.key)) for row in rows]


def materialise(store: BlobStore, files: Sequence[Entry], folder: Path) -> None:
    """Fetch the files of a manifest into a folder, each checked against its hash.

    Raises: ArtifactLostError for a file that is missing or damaged, ValueError for a path that leads out.
    """
    for entry in files:
        target = folder / entry.path
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{entry.path} leads out of its folder")
        store.fetch(entry.blob, target)
