"""Starts training: everything that the job needs is looked up and pinned before it is queued."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases.bases import Base
from simorgh_api.usecases.datasets import ensure_sample_dataset
from simorgh_shared.db.models import Checkpoint, Dataset, DatasetVersion, Job
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue, has_live_worker
from simorgh_shared.schemas.training import Device, Method, TrainSpec
from simorgh_shared.storage.blobs import BlobStore


@dataclass(frozen=True)
class Repeat:
    """What the client says of a request that it may have sent before."""

    idempotency_key: str | None = None
    is_retry: bool = False


_FIRST = Repeat()


def start(
    session: Session,
    project_id: str,
    user_id: str,
    spec: TrainSpec,
    dataset_version_id: str,
    base: Base | None = None,
    init_checkpoint_id: str | None = None,
    repeat: Repeat = _FIRST,
) -> tuple[str, str]:
    """Queue a training job; its id and its queue.

    base: the version that the spec's model means; None for a preset.
    Raises: InvalidInputError for a method that does not fit the rows, NotFoundError for a checkpoint that there is not.
    """
    _require_fitting_rows(session, spec, dataset_version_id)
    if init_checkpoint_id is not None:
        _require_checkpoint(session, project_id, init_checkpoint_id)
    queue = choose_queue(session, spec)
    body = _job_spec(spec, dataset_version_id, base)
    digest = hashlib.sha256(json.dumps(body | {"init": init_checkpoint_id}, sort_keys=True).encode()).hexdigest()
    job_id = enqueue(
        session,
        NewJob(
            project_id=project_id,
            type=JobType.TRAIN,
            queue=queue,
            spec=body,
            created_by=user_id,
            name=body["name"] or spec.model,
            tags=spec.tags,
            priority=spec.priority,
            num_gpus=1 if queue is Queue.TRAIN_GPU else 0,
            init_checkpoint_id=init_checkpoint_id,
            experiment_id=spec.experiment,
            idempotency_key=repeat.idempotency_key,
            body_hash=digest,
            is_retry=repeat.is_retry,
        ),
    )
    return job_id, queue


def _job_spec(spec: TrainSpec, dataset_version_id: str, base: Base | None) -> dict[str, Any]:
    """The parameters with what they name pinned to a version."""
    return spec.model_dump(mode="json") | {
        "dataset_version_id": dataset_version_id,
        "base_version_id": base.version_id if base is not None else None,
        "name": spec.name or (f"{base.name}-{spec.method}" if base is not None else None),
    }


def choose_queue(session: Session, spec: TrainSpec) -> Queue:
    """`auto` goes to the GPU where a live worker has one, else to the processor."""
    if spec.device is Device.GPU:
        return Queue.TRAIN_GPU
    if spec.device is Device.AUTO and has_live_worker(session, Queue.TRAIN_GPU, with_device=True):
        return Queue.TRAIN_GPU
    return Queue.TRAIN_CPU


def pin_dataset(
    session: Session, sessions: sessionmaker[Session], blobs: BlobStore, project_id: str, dataset: str | None
) -> str:
    """The version that a run trains on; without a dataset that of the sample, made where it is not there yet.

    Raises: NotFoundError.
    """
    if dataset is None:
        return ensure_sample_dataset(sessions, blobs, project_id)
    return newest_version(session, project_id, dataset)


def newest_version(session: Session, project_id: str, dataset: str) -> str:
    """The newest version of a dataset that is named by its id, its name or a version's id.

    Raises: NotFoundError.
    """
    found = session.scalar(
        sa.select(DatasetVersion.id)
        .join(Dataset, Dataset.id == DatasetVersion.dataset_id)
        .where(
            Dataset.project_id == project_id,
            Dataset.deleted_at.is_(None),
            sa.or_(Dataset.id == dataset, Dataset.name == dataset, DatasetVersion.id == dataset),
        )
        .order_by(Dataset.id.desc(), DatasetVersion.version.desc())
        .limit(1)
    )
    if found is None:
        raise NotFoundError("dataset_not_found", dataset_id=dataset)
    return found


def _require_fitting_rows(session: Session, spec: TrainSpec, dataset_version_id: str) -> None:
    version = session.get_one(DatasetVersion, dataset_version_id)
    if spec.method in (Method.SFT, Method.LORA) and version.row_schema == "text":
        reason = "the rows hold no answers"
        raise InvalidInputError("method_unfit", method=str(spec.method), reason=reason, fitting="pretrain")
    if version.row_schema == "preference":
        reason = (
            "preference rows hold a chosen and a rejected answer. Convert them to qa or messages first"
            f" (POST /api/datasets/{version.dataset_id}/convert)"
        )
        raise InvalidInputError(
            "method_unfit", method=str(spec.method), reason=reason, fitting="pretrain, sft or lora on what comes out"
        )
    if version.row_schema == "audio":
        reason = "the rows are clips of speech, and it learns from text"
        raise InvalidInputError(
            "method_unfit", method=str(spec.method), reason=reason, fitting="pretrain or sft with a dataset of text"
        )


def _require_checkpoint(session: Session, project_id: str, checkpoint_id: str) -> None:
    # Locked: it must not be retired between this look and the job that refers to it.
    found = session.scalar(
        sa.select(Checkpoint.id)
        .join(Job, Job.id == Checkpoint.job_id)
        .where(Checkpoint.id == checkpoint_id, Job.project_id == project_id)
        .with_for_update(of=Checkpoint, key_share=True)
    )
    if found is None:
        raise NotFoundError("checkpoint_not_found", checkpoint_id=checkpoint_id)
