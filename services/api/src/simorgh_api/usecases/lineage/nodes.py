"""What the graph tells of each thing: its id, its hashes, and what does not change about it."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Attempt, Dataset, DatasetVersion, Job, JobEvent, ManifestEntry, Model, ModelVersion
from simorgh_shared.schemas.lineage import LineageNode

_TOKENIZERS = ("tokenizer.json", "base/tokenizer.json", "tokenizer.model", "base/tokenizer.model", "vocab.txt")


def hashes(session: Session, version: ModelVersion) -> dict[str, str]:
    """The SHA-256 of a version's files, also where they were let go."""
    if version.manifest_id is None:
        kept: dict[str, str] = version.lineage.get("files", {})
        return kept
    query = sa.select(ManifestEntry.path, ManifestEntry.sha256).where(ManifestEntry.manifest_id == version.manifest_id)
    return {row.path: row.sha256 for row in session.execute(query)}


def version(model: Model, found: ModelVersion, files: Mapping[str, str]) -> LineageNode:
    """A version of a model."""
    return LineageNode(
        id=found.id,
        kind="model_version",
        name=model.name,
        created_at=found.created_at,
        deleted=model.deleted_at is not None,
        sha256=dict(files),
        details={
            "model_id": model.id,
            "version": found.version,
            "kind": found.kind,
            "format": found.format,
            "num_parameters": found.num_parameters,
        },
    )


def tokenizer(files: Mapping[str, str]) -> LineageNode | None:
    """The tokenizer of a version, known by its content: versions that share it share the node."""
    path = next((path for path in _TOKENIZERS if path in files), None)
    if path is None:
        return None
    sha256 = files[path]
    return LineageNode(id=f"tokenizer:{sha256}", kind="tokenizer", sha256={path.rpartition("/")[2]: sha256})


def upload(found: ModelVersion) -> LineageNode | None:
    """The sending of a version, where a user sent it."""
    sent = found.lineage.get("uploaded")
    if not isinstance(sent, dict):
        return None
    return LineageNode(
        id=f"upload:{found.id}", kind="upload", created_at=found.created_at, details={"by": sent.get("by")}
    )


def dataset(found: Dataset, of: DatasetVersion) -> LineageNode:
    """A version of a dataset, with the hash of each split."""
    return LineageNode(
        id=of.id,
        kind="dataset_version",
        name=found.name,
        created_at=of.created_at,
        deleted=found.deleted_at is not None,
        sha256={str(split["split"]): str(split["sha256"]) for split in of.splits},
        details={
            "dataset_id": found.id,
            "version": of.version,
            "row_schema": of.row_schema,
            "rows": of.rows,
            "content_sha256": of.content_sha256,
        },
    )


def job(found: Job, attempts: Sequence[Attempt]) -> LineageNode:
    """A job with its specification and its attempts."""
    return LineageNode(
        id=found.id,
        kind="job",
        name=found.name or None,
        created_at=found.created_at,
        details={
            "type": found.type,
            "status": found.status,
            "created_by": found.created_by,
            "spec": found.spec,
            "finished_at": found.finished_at.isoformat() if found.finished_at else None,
            "attempts": [
                {
                    "attempt": one.attempt,
                    "worker": one.worker,
                    "devices": one.devices,
                    "outcome": one.outcome,
                    "checkpoint_in": one.checkpoint_in,
                    "started_at": one.started_at.isoformat(),
                }
                for one in attempts
            ],
        },
    )


def checkpoint(event: JobEvent, is_gone: bool) -> LineageNode:
    """A checkpoint, as its job told of it."""
    told = event.payload
    return LineageNode(
        id=told["checkpoint_id"],
        kind="checkpoint",
        created_at=event.at,
        deleted=is_gone,
        sha256={"files": told["sha256"]} if "sha256" in told else {},
        details={"step": told.get("step"), "bytes": told.get("bytes"), "reason": told.get("reason")},
    )
