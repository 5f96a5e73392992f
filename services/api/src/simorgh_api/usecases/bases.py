"""The model that a run trains further: found, pinned to a version, and told from one that cannot be trained so.

No session is open while the model's configuration is read from storage.
"""

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import models
from simorgh_shared.db.models import Checkpoint, Job, Model, ModelVersion
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.schemas.training import PRESETS, TrainSpec
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore, StoredBlob

_MOST_CONFIG_BYTES = 1 << 20
_TRAINABLE = "LlamaForCausalLM"
_ENCODER_HEADS = ("ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
_NO_MLM = "mlm, which is not available yet"


@dataclass(frozen=True)
class Base:
    """The version that a run trains further."""

    version_id: str
    name: str


@dataclass(frozen=True)
class _Found:
    base: Base
    kind: str
    format: str
    config: StoredBlob | None


def pin(
    sessions: sessionmaker[Session],
    blobs: BlobStore,
    project_id: str,
    spec: TrainSpec,
    init_checkpoint_id: str | None,
) -> Base | None:
    """The version that the spec's model means, that of the checkpoint where the run starts from one; None for a preset.

    Raises: NotFoundError; InvalidInputError `base_model_unfit` or `method_unfit` with the reason.
    """
    if spec.preset is not None:
        return None
    with sessions() as session:
        found = _find(session, project_id, spec.model, init_checkpoint_id)
    if found.kind == "adapter":
        raise _unfit("it is an adapter: train its base, or start from the checkpoint of the run that made it")
    if found.format != "safetensors":
        raise _unfit(f"it is kept as {found.format}, and safetensors is needed")
    if found.config is None:
        raise _unfit("it has no config.json")
    _require_fitting_architecture(_config(blobs, found.config), spec)
    return found.base


def _find(session: Session, project_id: str, model: str, init_checkpoint_id: str | None) -> _Found:
    version_id = _version_of_checkpoint(session, project_id, init_checkpoint_id) if init_checkpoint_id else None
    if version_id is None:
        try:
            version_id = models.resolve(session, project_id, model)
        except NotFoundError as error:
            raise NotFoundError("run_unknown_model", model=model, known=", ".join(PRESETS)) from error
    row = session.execute(
        sa.select(ModelVersion.kind, ModelVersion.format, ModelVersion.manifest_id, Model.name)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(ModelVersion.id == version_id)
    ).one()
    files = {entry.path: entry.blob for entry in manifests.entries(session, row.manifest_id)}
    return _Found(Base(version_id, row.name), row.kind, row.format, files.get("config.json"))


def _version_of_checkpoint(session: Session, project_id: str, checkpoint_id: str) -> str | None:
    """What the checkpoint's run trained further: the newest version of the model may be another by now."""
    version_id = session.scalar(
        sa.select(Job.spec["base_version_id"].astext)
        .join(Checkpoint, Checkpoint.job_id == Job.id)
        .where(Checkpoint.id == checkpoint_id, Job.project_id == project_id)
    )
    return str(version_id) if version_id is not None else None


def _config(blobs: BlobStore, blob: StoredBlob) -> dict[str, Any]:
    if blob.bytes > _MOST_CONFIG_BYTES:
        raise _unfit(f"its config.json has {blob.bytes} bytes, and {_MOST_CONFIG_BYTES} are the limit")
    try:
        config = json.loads(b"".join(blobs.read(blob)))
    except ValueError as error:
        raise _unfit("its config.json is not JSON") from error
    if not isinstance(config, dict):
        raise _unfit("its config.json is not an object")
    return config


def _require_fitting_architecture(config: dict[str, Any], spec: TrainSpec) -> None:
    given = config.get("architectures")
    names = [name for name in given if isinstance(name, str)] if isinstance(given, list) else []
    if _TRAINABLE in names:
        return
    architecture = names[0] if names else "no architecture"
    if any(name.endswith(_ENCODER_HEADS) for name in names):
        reason = f"{architecture} is an encoder, it reads whole texts and writes no answers"
        raise InvalidInputError("method_unfit", method=str(spec.method), reason=reason, fitting=_NO_MLM)
    raise _unfit(f"its architecture is {architecture}, and {_TRAINABLE} is the one that can be trained further so far")


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("base_model_unfit", reason=reason)
