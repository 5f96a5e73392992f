"""Datasets: kept as versions, each a manifest of the files that were sent (R-DATA-1 to R-DATA-4, R-DATA-7)."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import paging
from simorgh_shared.datasets.sample import TEST_SHA256, TRAIN_SHA256, write_sample
from simorgh_shared.db.models import Dataset, DatasetVersion
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.schemas.datasets import DatasetVersionView, DatasetView, SplitView
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore, StoredBlob
from simorgh_shared.storage.manifests import Entry

SAMPLE_NAME = "chatterbot-fa"
_SAMPLE_SCHEMA = "qa"


@dataclass(frozen=True)
class CheckedFile:
    """The file of a split, with good rows only, as canonical JSONL."""

    split: str
    blob: StoredBlob
    rows: int
    found: Mapping[str, Any] = field(default_factory=dict)
    """What the check counted."""


@dataclass(frozen=True)
class Content:
    """What becomes a version."""

    row_schema: str
    files: Sequence[CheckedFile]
    """The train split first."""
    source_columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The hash that tells contents apart."""
        return _content_sha256([(file.split, file.blob.sha256) for file in self.files])


@dataclass(frozen=True)
class Kept:
    """Where a content lies."""

    dataset: Dataset
    version: DatasetVersion
    created: bool
    """False where it was there before."""


def keep(session: Session, project_id: str, user_id: str | None, name: str, content: Content) -> Kept:
    """The dataset of this name that has this content, made where there is none."""
    # Of two that keep the same content at once, the second waits here, and then finds what the first has made.
    key = f"datasets:{project_id}:{name}"
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))
    known = session.execute(
        _versions(project_id)
        .where(Dataset.name == name, *_has(content.sha256, content.row_schema))
        .order_by(Dataset.id)
        .limit(1)
    ).first()
    if known is not None:
        return Kept(known[0], known[1], created=False)
    dataset = Dataset(id=new_id("ds"), project_id=project_id, name=name, created_by=user_id)
    session.add(dataset)
    session.flush()
    return Kept(dataset, _add_version(session, dataset, 1, content), created=True)


def keep_version(session: Session, project_id: str, dataset_id: str, name: str | None, content: Content) -> Kept:
    """The version of a dataset that has this content, made the next one where there is none.

    Raises: NotFoundError.
    """
    # Locked, so that two who add a version at once count on.
    dataset = session.scalar(_live(project_id).where(Dataset.id == dataset_id).with_for_update(key_share=True))
    if dataset is None:
        raise NotFoundError("dataset_not_found", dataset_id=dataset_id)
    if name is not None:
        dataset.name = name
    mine = sa.select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id)
    known = session.scalar(mine.where(*_has(content.sha256, content.row_schema)))
    if known is not None:
        return Kept(dataset, known, created=False)
    newest = session.scalar(
        sa.select(sa.func.max(DatasetVersion.version)).where(DatasetVersion.dataset_id == dataset_id)
    )
    return Kept(dataset, _add_version(session, dataset, (newest or 0) + 1, content), created=True)


def ensure_sample_dataset(sessions: sessionmaker[Session], blobs: BlobStore, project_id: str) -> str:
    """The version of the sample Persian conversations (R-DATA-10) in a project, made when it is first asked for.

    Takes sessions of its own: none is open while the sample is written to storage.
    """
    # Anyone may give an upload the sample's name: what it holds makes it the sample.
    sha256 = _content_sha256([("train", TRAIN_SHA256), ("test", TEST_SHA256)])
    with sessions() as session:
        known = session.execute(
            _versions(project_id).where(Dataset.name == SAMPLE_NAME, *_has(sha256, _SAMPLE_SCHEMA)).limit(1)
        ).first()
    if known is not None:
        return known[1].id
    with tempfile.TemporaryDirectory() as folder:
        sample = write_sample(Path(folder))
        files = [
            CheckedFile("train", blobs.put(sessions, sample.train_path, TRAIN_SHA256), sample.num_train_rows),
            CheckedFile("test", blobs.put(sessions, sample.test_path, TEST_SHA256), sample.num_test_rows),
        ]
    with sessions.begin() as session:
        return keep(session, project_id, None, SAMPLE_NAME, Content(_SAMPLE_SCHEMA, files)).version.id


def get(
    session: Session, project_id: str, dataset_id: str, version: int | None = None
) -> tuple[Dataset, DatasetVersion]:
    """A dataset and one of its versions, the newest where none is named.

    Raises: NotFoundError.
    """
    query = _newest(project_id) if version is None else _versions(project_id).where(DatasetVersion.version == version)
    row = session.execute(query.where(Dataset.id == dataset_id)).first()
    if row is not None:
        return row[0], row[1]
    if version is not None and session.scalar(_live(project_id).where(Dataset.id == dataset_id)) is not None:
        raise NotFoundError("dataset_version_not_found", dataset_id=dataset_id, version=version)
    raise NotFoundError("dataset_not_found", dataset_id=dataset_id)


def page(session: Session, project_id: str, limit: int, cursor: str | None) -> tuple[list[DatasetView], str | None]:
    """The newest datasets first, and the cursor to go on from."""
    rows, more = paging.page(session, _newest(project_id), Dataset.id, "ds", limit, cursor)
    return [view(row[0], row[1]) for row in rows], more


def versions_page(
    session: Session, project_id: str, dataset_id: str, limit: int, cursor: str | None
) -> tuple[list[DatasetVersionView], str | None]:
    """The newest versions of a dataset first, and the cursor to go on from.

    Raises: NotFoundError.
    """
    get(session, project_id, dataset_id)
    query = _versions(project_id).where(Dataset.id == dataset_id)
    rows, more = paging.page(session, query, DatasetVersion.id, "dsv", limit, cursor)
    return [version_view(row[1]) for row in rows], more


def delete(session: Session, project_id: str, dataset_id: str) -> None:
    """Take a dataset away; versions that jobs used stay reachable for these jobs."""
    dataset, _ = get(session, project_id, dataset_id)
    dataset.deleted_at = sa.func.now()


def view(dataset: Dataset, version: DatasetVersion) -> DatasetView:
    """A dataset as the API shows it."""
    return DatasetView.model_validate(
        _content(version)
        | {
            "id": dataset.id,
            "dataset_id": dataset.id,
            "name": dataset.name,
            "version_id": version.id,
            "created_at": dataset.created_at,
        }
    )


def version_view(version: DatasetVersion) -> DatasetVersionView:
    """A version as the API shows it."""
    return DatasetVersionView.model_validate(
        _content(version) | {"id": version.id, "dataset_id": version.dataset_id, "created_at": version.created_at}
    )


def _content(version: DatasetVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "row_schema": version.row_schema,
        "columns": version.source_columns,
        "rows": version.rows,
        "bytes": version.bytes,
        "sha256": version.content_sha256,
        "splits": [SplitView.model_validate(split) for split in version.splits],
    }


def _add_version(session: Session, dataset: Dataset, number: int, content: Content) -> DatasetVersion:
    entries = [Entry(f"{file.split}.jsonl", file.blob) for file in content.files]
    version = DatasetVersion(
        id=new_id("dsv"),
        dataset_id=dataset.id,
        version=number,
        manifest_id=manifests.create(session, "dataset", entries),
        content_sha256=content.sha256,
        row_schema=content.row_schema,
        source_columns=dict(content.source_columns),
        rows=sum(file.rows for file in content.files),
        bytes=sum(file.blob.bytes for file in content.files),
        splits=[
            {
                **file.found,
                "split": file.split,
                "rows": file.rows,
                "bytes": file.blob.bytes,
                "sha256": file.blob.sha256,
            }
            for file in content.files
        ],
    )
    session.add(version)
    session.flush()
    return version


def _content_sha256(files: Sequence[tuple[str, str]]) -> str:
    if len(files) == 1:
        return files[0][1]  # what `sha256sum` tells the owner
    return hashlib.sha256("".join(f"{split}:{sha256}\n" for split, sha256 in files).encode()).hexdigest()


def _has(sha256: str, row_schema: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return DatasetVersion.content_sha256 == sha256, DatasetVersion.row_schema == row_schema


def _live(project_id: str) -> sa.Select[Dataset]:
    return sa.select(Dataset).where(Dataset.project_id == project_id, Dataset.deleted_at.is_(None))


def _versions(project_id: str) -> "sa.Select[Dataset, DatasetVersion]":
    return _live(project_id).add_columns(DatasetVersion).join(DatasetVersion, DatasetVersion.dataset_id == Dataset.id)


def _newest(project_id: str) -> "sa.Select[Dataset, DatasetVersion]":
    newest = (
        sa.select(sa.func.max(DatasetVersion.version))
        .where(DatasetVersion.dataset_id == Dataset.id)
        .correlate(Dataset)
        .scalar_subquery()
    )
    return _versions(project_id).where(DatasetVersion.version == newest)
