"""The job that makes a CTranslate2 Whisper from one of transformers: a new model with a base (R-VOICE-6)."""

from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan

MODULE = "simorgh_voice.converting"


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """Look up the exact version.

    Raises: ArtifactLostError when its files are gone.
    """
    version_id = lease.spec["base_version_id"]
    version = session.get(ModelVersion, version_id)
    entries = manifests.entries(session, version.manifest_id) if version is not None and version.manifest_id else []
    if not entries:
        raise ArtifactLostError(f"model {version_id}")
    run = {"job_id": lease.job_id, "attempt": lease.attempt, "type": lease.type, "spec": lease.spec}
    return LaunchPlan(MODULE, run, {"model": entries}, lease.devices)


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Register what the child made."""
    base = session.get_one(ModelVersion, lease.spec["base_version_id"])
    name = lease.spec.get("name") or f"{session.get_one(Model, base.model_id).name}-{lease.spec['quantisation']}"
    new = NewModel(
        name=name,
        kind=result["model"]["kind"],
        format=result["model"]["format"],
        entries=entries,
        lineage={
            "job_id": lease.job_id,
            "attempt": lease.attempt,
            "base_version_id": base.id,
            "spec": dict(lease.spec),
        },
        metrics=result["metrics"],
        num_parameters=result["num_parameters"],
        traits=result["model"]["traits"],
    )
    return asdict(models.register(session, lease.project_id, new, lease.job_id))


def checkpoints_kept(lease: Lease) -> int:
    """A conversion starts anew."""
    del lease
    return 0
