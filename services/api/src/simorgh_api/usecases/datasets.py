"""Datasets: kept as versions, each a manifest of the files that were sent (R-DATA-1 to R-DATA-4, R-DATA-7)."""

import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import paging
from simorgh_shared.datasets.sample import TEST_SHA256, TRAIN_SHA256, write_sample
from simorgh_shared.db.models import Dataset, DatasetVersion
from simorgh_shared.db.repositories import datasets as repository
from simorgh_shared.db.repositories.datasets import CheckedFile, Content
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.schemas.datasets import DatasetVersionView, DatasetView, SplitView
from simorgh_shared.storage.blobs import BlobStore

SAMPLE_NAME = "chatterbot-fa"
_SAMPLE_SCHEMA = "qa"


def ensure_sample_dataset(sessions: sessionmaker[Session], blobs: BlobStore, project_id: str) -> str:
    """The version of the sample Persian conversations (R-DATA-10) in a project, made when it is first asked for.

    Takes sessions of its own: none is open while the sample is written to storage.
    """
    # Anyone may give an upload the sample's name: what it holds makes it the sample.
    sha256 = repository.content_sha256([("train", TRAIN_SHA256), ("test", TEST_SHA256)])
    with sessions() as session:
        known = session.execute(
            repository.versions(project_id)
            .where(Dataset.name == SAMPLE_NAME, *repository.has(sha256, _SAMPLE_SCHEMA))
            .limit(1)
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
        return repository.keep(session, project_id, None, SAMPLE_NAME, Content(_SAMPLE_SCHEMA, files)).version.id


def get(
    session: Session, project_id: str, dataset_id: str, version: int | None = None
) -> tuple[Dataset, DatasetVersion]:
    """A dataset and one of its versions, the newest where none is named.

    Raises: NotFoundError.
    """
    query = (
        _newest(project_id)
        if version is None
        else repository.versions(project_id).where(DatasetVersion.version == version)
    )
    row = session.execute(query.where(Dataset.id == dataset_id)).first()
    if row is not None:
        return row[0], row[1]
    if version is not None and session.scalar(repository.live(project_id).where(Dataset.id == dataset_id)) is not None:
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
    query = repository.versions(project_id).where(Dataset.id == dataset_id)
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


def _newest(project_id: str) -> "sa.Select[Dataset, DatasetVersion]":
    newest = (
        sa.select(sa.func.max(DatasetVersion.version))
        .where(DatasetVersion.dataset_id == Dataset.id)
        .correlate(Dataset)
        .scalar_subquery()
    )
    return repository.versions(project_id).where(DatasetVersion.version == newest)
