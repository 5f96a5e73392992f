"""Datasets: kept as versions, each a manifest of the files that were sent (R-DATA-1 to R-DATA-4, R-DATA-7)."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.datasets.sample import TEST_SHA256, TRAIN_SHA256, write_sample
from simorgh_shared.db.models import Dataset, DatasetVersion
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore, StoredBlob
from simorgh_shared.storage.manifests import Entry

SAMPLE_NAME = "chatterbot-fa"


@dataclass(frozen=True)
class CheckedFile:
    """A file of a dataset whose rows are good, in canonical JSONL where it was not."""

    path: str
    """Its name in the manifest: `train.jsonl`, `test.jsonl`."""
    blob: StoredBlob
    rows: int
    validation: Mapping[str, Any] = field(default_factory=dict)


def keep(
    session: Session,
    project_id: str,
    user_id: str | None,
    name: str,
    row_schema: str,
    columns: Mapping[str, str],
    files: list[CheckedFile],
) -> DatasetVersion:
    """Insert a dataset with its first version; the same content under the same name is the version that is there."""
    content = _content_sha256([(f.path, f.blob.sha256) for f in files])
    known = session.scalar(
        sa.select(DatasetVersion)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(
            Dataset.project_id == project_id,
            Dataset.name == name,
            Dataset.deleted_at.is_(None),
            DatasetVersion.content_sha256 == content,
        )
    )
    if known is not None:
        return known
    dataset = Dataset(id=new_id("ds"), project_id=project_id, name=name, created_by=user_id)
    session.add(dataset)
    session.flush()
    version = DatasetVersion(
        id=new_id("dsv"),
        dataset_id=dataset.id,
        version=1,
        manifest_id=manifests.create(session, "dataset", [Entry(f.path, f.blob) for f in files]),
        content_sha256=content,
        row_schema=row_schema,
        columns=dict(columns),
        rows=sum(f.rows for f in files),
        bytes=sum(f.blob.bytes for f in files),
        validation={f.path: dict(f.validation) for f in files},
    )
    session.add(version)
    session.flush()
    return version


def ensure_sample_dataset(session: Session, blobs: BlobStore, sessions: sessionmaker[Session], project_id: str) -> str:
    """The version of the sample Persian conversations (R-DATA-10) in a project, made when it is first asked for."""
    found = session.scalar(
        sa.select(DatasetVersion.id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(
            Dataset.project_id == project_id,
            Dataset.name == SAMPLE_NAME,
            Dataset.deleted_at.is_(None),
            # Anyone may give an upload the sample's name: what it holds makes it the sample.
            DatasetVersion.content_sha256
            == _content_sha256([("train.jsonl", TRAIN_SHA256), ("test.jsonl", TEST_SHA256)]),
        )
        .limit(1)
    )
    if found is not None:
        return found
    with tempfile.TemporaryDirectory() as folder:
        sample = write_sample(Path(folder))
        files = [
            CheckedFile(path.name, blobs.put(sessions, path), len(path.read_bytes().splitlines()))
            for path in (sample.train_path, sample.test_path)
        ]
    return keep(session, project_id, None, SAMPLE_NAME, "qa", {}, files).id


def get(session: Session, project_id: str, dataset_id: str) -> tuple[Dataset, DatasetVersion]:
    """A dataset and its newest version.

    Raises: NotFoundError.
    """
    row = session.execute(_newest(project_id).where(Dataset.id == dataset_id)).first()
    if row is None:
        raise NotFoundError("dataset_not_found", dataset_id=dataset_id)
    return row[0], row[1]


def page(session: Session, project_id: str, limit: int, before: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The newest datasets first, and the id to go on from."""
    query = _newest(project_id)
    if before is not None:
        query = query.where(Dataset.id < before)
    rows = session.execute(query.order_by(Dataset.id.desc()).limit(limit + 1)).all()
    return [view(row[0], row[1]) for row in rows[:limit]], rows[limit - 1][0].id if len(rows) > limit else None


def delete(session: Session, project_id: str, dataset_id: str) -> None:
    """Take a dataset away; versions that jobs used stay reachable for these jobs."""
    dataset, _ = get(session, project_id, dataset_id)
    dataset.deleted_at = sa.func.now()


def view(dataset: Dataset, version: DatasetVersion) -> dict[str, Any]:
    """A dataset as the API shows it."""
    return {
        "id": dataset.id,
        "dataset_id": dataset.id,
        "version_id": version.id,
        "version": version.version,
        "name": dataset.name,
        "row_schema": version.row_schema,
        "columns": version.columns,
        "rows": version.rows,
        "bytes": version.bytes,
        "sha256": version.content_sha256,
        "created_at": dataset.created_at,
    }


def _content_sha256(files: list[tuple[str, str]]) -> str:
    return hashlib.sha256("".join(f"{path}:{sha256}\n" for path, sha256 in files).encode()).hexdigest()


def _newest(project_id: str) -> "sa.Select[Dataset, DatasetVersion]":
    newest = (
        sa.select(sa.func.max(DatasetVersion.version))
        .where(DatasetVersion.dataset_id == Dataset.id)
        .correlate(Dataset)
        .scalar_subquery()
    )
    return (
        sa.select(Dataset, DatasetVersion)
        .join(DatasetVersion, (DatasetVersion.dataset_id == Dataset.id) & (DatasetVersion.version == newest))
        .where(Dataset.project_id == project_id, Dataset.deleted_at.is_(None))
    )
