"""The training job: what its child needs from the registry, and what becomes of its output."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Checkpoint, DatasetVersion, Job, ModelVersion
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.schemas.training import Method
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan

MODULE = "simorgh_trainer.training"
DEFAULT_CHECKPOINTS_KEPT = 3


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """Look up the exact dataset version, and the checkpoint to go on from or the model to train further.

    The job's spec is a TrainSpec with the resolved `dataset_version_id` and `base_version_id` beside it.
    Raises: NotFoundError when the dataset version is gone, ArtifactLostError when the checkpoint is.
    """
    spec = dict(lease.spec)
    version_id = spec.pop("dataset_version_id", None)
    base_version_id = spec.pop("base_version_id", None)
    version = session.get(DatasetVersion, version_id)
    if version is None:
        raise NotFoundError("job_failed", reason=f"its dataset version {version_id} does not exist any more")
    files = manifests.entries(session, version.manifest_id)
    inputs: dict[str, Sequence[Entry]] = {"dataset": files}
    checkpoint_id = lease.checkpoint_id or lease.init_checkpoint_id
    if checkpoint_id is not None:
        inputs["checkpoint"] = _checkpoint_files(session, checkpoint_id)
    if base_version_id is not None:  # beside a checkpoint too, which holds only what is learnt
        inputs["base_model"] = _model_files(session, base_version_id)
    run = {
        "job_id": lease.job_id,
        "attempt": lease.attempt,
        "type": lease.type,
        "spec": spec,
        "inputs": {
            "dataset": {
                "row_schema": version.row_schema,
                "columns": version.columns,
                "train": [f"inputs/dataset/{file.path}" for file in files if not _is_test(file.path)],
                "test": [f"inputs/dataset/{file.path}" for file in files if _is_test(file.path)],
            },
            "base_model": "inputs/base_model" if "base_model" in inputs else None,
            "checkpoint": "inputs/checkpoint" if checkpoint_id else None,
            "is_anothers_checkpoint": lease.checkpoint_id is None and checkpoint_id is not None,
        },
        "lineage": {
            "dataset_id": version.dataset_id,
            "dataset_version_id": version.id,
            "dataset_sha256": {file.path: file.blob.sha256 for file in files},
            "checkpoint_id": checkpoint_id,
            "base_version_id": base_version_id,
        },
    }
    return LaunchPlan(MODULE, run, inputs, lease.devices)


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Register the model that the child's output is. An adapter takes its base along, whose bytes are stored."""
    spec, metrics = lease.spec, result.get("metrics", {})
    is_adapter = spec.get("method") == Method.LORA
    if is_adapter:
        base = _model_files(session, spec["base_version_id"])
        entries = [*entries, *(Entry(f"base/{file.path}", file.blob) for file in base)]
    new = NewModel(
        name=spec.get("name") or f"{spec.get('model', 'model')}-{lease.job_id[-6:]}",
        kind="adapter" if is_adapter else "base" if spec.get("method") == Method.PRETRAIN else "tuned",
        format="safetensors",
        entries=entries,
        lineage={
            "job_id": lease.job_id,
            "attempt": lease.attempt,
            "dataset_version_id": spec.get("dataset_version_id"),
            "init_checkpoint_id": lease.init_checkpoint_id,
            "base_version_id": spec.get("base_version_id"),
            "spec": spec,
        },
        metrics=metrics,
        num_parameters=metrics.get("num_parameters") or _num_parameters(session, lease.job_id),
    )
    return asdict(models.register(session, lease.project_id, new, lease.job_id))


def _num_parameters(session: Session, job_id: str) -> int | None:
    """What the child said when it started."""
    found: int | None = session.scalar(sa.select(Job.progress["num_parameters"].as_integer()).where(Job.id == job_id))
    return found


def checkpoints_kept(lease: Lease) -> int:
    """How many checkpoints of this job stay."""
    return int(lease.spec.get("checkpoints_kept", DEFAULT_CHECKPOINTS_KEPT))


def _checkpoint_files(session: Session, checkpoint_id: str) -> list[Entry]:
    manifest_id = session.scalar(sa.select(Checkpoint.manifest_id).where(Checkpoint.id == checkpoint_id))
    files = manifests.entries(session, manifest_id) if manifest_id else []
    if not files:
        raise ArtifactLostError(f"checkpoint {checkpoint_id}")
    return files


def _model_files(session: Session, version_id: str) -> list[Entry]:
    version = session.get(ModelVersion, version_id)
    files = manifests.entries(session, version.manifest_id) if version is not None else []
    if not files:
        raise ArtifactLostError(f"model {version_id}")
    return files


def _is_test(path: str) -> bool:
    return path.split("/")[-1].startswith("test.")
