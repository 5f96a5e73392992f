"""Datasets and their versions: how a checked content comes to be kept, whoever checked it (R-DATA-7)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Dataset, DatasetVersion, Job
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import ACTIVE, DesiredState, JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import StoredBlob
from simorgh_shared.storage.manifests import Entry


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
    clips: Sequence[Entry] = ()
    """What the rows name: their hashes stand in the rows, and so in the hash of the content."""

    @property
    def sha256(self) -> str:
        """The hash that tells contents apart."""
        return content_sha256([(file.split, file.blob.sha256) for file in self.files])


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
        versions(project_id)
        .where(Dataset.name == name, *has(content.sha256, content.row_schema))
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
    dataset = session.scalar(live(project_id).where(Dataset.id == dataset_id).with_for_update(key_share=True))
    if dataset is None:
        raise NotFoundError("dataset_not_found", dataset_id=dataset_id)
    if name is not None:
        dataset.name = name
    mine = sa.select(DatasetVersion).where(DatasetVersion.dataset_id == dataset_id)
    known = session.scalar(mine.where(*has(content.sha256, content.row_schema)))
    if known is not None:
        return Kept(dataset, known, created=False)
    newest = session.scalar(
        sa.select(sa.func.max(DatasetVersion.version)).where(DatasetVersion.dataset_id == dataset_id)
    )
    return Kept(dataset, _add_version(session, dataset, (newest or 0) + 1, content), created=True)


def live(project_id: str) -> sa.Select[Dataset]:
    """Datasets of a project that are not deleted."""
    return sa.select(Dataset).where(Dataset.project_id == project_id, Dataset.deleted_at.is_(None))


def versions(project_id: str) -> "sa.Select[Dataset, DatasetVersion]":
    """Each of them with each of its versions."""
    return live(project_id).add_columns(DatasetVersion).join(DatasetVersion, DatasetVersion.dataset_id == Dataset.id)


def _add_version(session: Session, dataset: Dataset, number: int, content: Content) -> DatasetVersion:
    entries = [*(Entry(f"{file.split}.jsonl", file.blob) for file in content.files), *content.clips]
    version = DatasetVersion(
        id=new_id("dsv"),
        dataset_id=dataset.id,
        version=number,
        manifest_id=manifests.create(session, "dataset", entries),
        content_sha256=content.sha256,
        row_schema=content.row_schema,
        source_columns=dict(content.source_columns),
        rows=sum(file.rows for file in content.files),
        bytes=sum(entry.blob.bytes for entry in entries),
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
    _have_looked_through(session, dataset, version)
    return version


def _have_looked_through(session: Session, dataset: Dataset, version: DatasetVersion) -> None:
    """Take over what is known of this content in the project, or will be; else queue the job that finds it out."""
    same = sa.and_(Dataset.project_id == dataset.project_id, *has(version.content_sha256, version.row_schema))
    # Locked first: a job that ends at this moment writes before we look for what it wrote, or to this version too.
    version.statistics_job_id = session.scalar(
        sa.select(Job.id)
        .join(DatasetVersion, DatasetVersion.statistics_job_id == Job.id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(same, Job.status.in_(ACTIVE), Job.desired_state == DesiredState.RUN)
        .limit(1)
        .with_for_update(of=Job, read=True)
    )
    if version.statistics_job_id is None:
        known = session.execute(
            sa.select(DatasetVersion.statistics, DatasetVersion.statistics_job_id)
            .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
            .where(same, DatasetVersion.statistics.is_not(None))
            .limit(1)
        ).first()
        if known is None:
            queue_statistics(session, dataset, version)
        else:
            version.statistics, version.statistics_job_id = known
    session.flush()


def queue_statistics(session: Session, dataset: Dataset, version: DatasetVersion) -> None:
    """Queue the job that looks through a version. The caller tells the dispatcher after the commit."""
    spec = {"dataset_id": dataset.id, "dataset_version_id": version.id}
    name = f"statistics of {dataset.name}"
    new = NewJob(dataset.project_id, JobType.STATISTICS, Queue.IO, spec, created_by=dataset.created_by, name=name)
    version.statistics_job_id = enqueue(session, new)
    session.flush()


def content_sha256(files: Sequence[tuple[str, str]]) -> str:
    """The hash that tells contents apart; of a single file what `sha256sum` tells the owner."""
    if len(files) == 1:
        return files[0][1]
    return hashlib.sha256("".join(f"{split}:{sha256}\n" for split, sha256 in files).encode()).hexdigest()


def has(sha256: str, row_schema: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Conditions on a version: that it holds this content, read by this schema."""
    return DatasetVersion.content_sha256 == sha256, DatasetVersion.row_schema == row_schema
