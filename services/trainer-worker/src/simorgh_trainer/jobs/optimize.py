"""The job that makes another form of a model and measures both: a new version with a base (R-OPT-1, R-OPT-2)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from simorgh_shared.db.models import DatasetVersion, Job, Model, ModelVersion
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan
from simorgh_trainer.jobs.report_check import compare_reports

MODULE = "simorgh_trainer.optimize"
_HOLDS_OUT = ("eval_fraction", "seed", "normalise")


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """Look up the exact versions of model and dataset.

    Raises: ArtifactLostError when the model's files are gone, NotFoundError when the dataset is.
    """
    version_id, dataset_version_id = lease.spec["base_version_id"], lease.spec["dataset_version_id"]
    version = session.get(ModelVersion, version_id)
    files = manifests.entries(session, version.manifest_id) if version is not None and version.manifest_id else []
    if version is None or not files:
        raise ArtifactLostError(f"model {version_id}")
    inputs = {"dataset": _dataset(session, dataset_version_id)}
    other_id = (lease.spec.get("recovery") or {}).get("dataset_version_id")
    if other_id not in (None, dataset_version_id):
        inputs["recovery"] = _dataset(session, other_id)
    made = _made(session, lease.spec)
    trained = version.lineage.get("spec", {}) if version.lineage.get("dataset_version_id") == dataset_version_id else {}
    run = {
        "job_id": lease.job_id,
        "attempt": lease.attempt,
        "type": lease.type,
        "spec": lease.spec,
        "inputs": {
            **{name: _described(name, *found) for name, found in inputs.items()},
            "training": {name: trained[name] for name in _HOLDS_OUT} if set(_HOLDS_OUT) <= trained.keys() else None,
        },
    }
    entries = {name: rows for name, (_, rows) in inputs.items()} | ({"made": made} if made else {})
    return LaunchPlan(MODULE, run, {"model": files, **entries}, lease.devices)


def _made(session: Session, spec: Mapping[str, Any]) -> list[Entry]:
    """The files of the version that is measured again; none for an optimisation.

    Raises: ArtifactLostError when they are gone.
    """
    if not spec.get("check_of"):
        return []
    version = session.get(ModelVersion, spec["made_version_id"])
    files = manifests.entries(session, version.manifest_id) if version is not None and version.manifest_id else []
    if not files:
        raise ArtifactLostError(f"model {spec['made_version_id']}")
    return files


def _dataset(session: Session, version_id: str) -> tuple[DatasetVersion, list[Entry]]:
    """A version and the files of its rows. Raises: NotFoundError."""
    version = session.get(DatasetVersion, version_id)
    if version is None:
        raise NotFoundError("job_failed", reason=f"its dataset version {version_id} does not exist any more")
    return version, [entry for entry in manifests.entries(session, version.manifest_id) if "/" not in entry.path]


def _described(name: str, version: DatasetVersion, rows: list[Entry]) -> dict[str, Any]:
    paths = {entry.path: f"inputs/{name}/{entry.path}" for entry in rows}
    return {
        "row_schema": version.row_schema,
        "columns": version.columns,
        "train": [path for file, path in paths.items() if not file.startswith("test.")],
        "test": [path for file, path in paths.items() if file.startswith("test.")],
    }


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Register what the child made. It keeps its source's dataset, so that it can be measured again.

    A check registers nothing: what it has found stands beside what the report said.
    """
    if lease.spec.get("check_of"):
        reported = (session.get_one(Job, lease.spec["check_of"]).result or {})["report"]
        found = compare_reports(reported, result["report"])
        return {"report": result["report"], "differences": [one.model_dump(mode="json") for one in found]}
    base = session.get_one(ModelVersion, lease.spec["base_version_id"])
    new = NewModel(
        name=lease.spec.get("name") or f"{session.get_one(Model, base.model_id).name}-{lease.spec['method']}",
        kind=result["model"]["kind"],
        format=result["model"]["format"],
        entries=entries,
        lineage={
            "job_id": lease.job_id,
            "attempt": lease.attempt,
            "base_version_id": base.id,
            "dataset_version_id": lease.spec["dataset_version_id"],
            "spec": dict(lease.spec),
        },
        metrics=result["metrics"],
        num_parameters=result["num_parameters"],
        traits=result["model"]["traits"],
    )
    return asdict(models.register(session, lease.project_id, new, lease.job_id)) | {"report": result["report"]}


def checkpoints_kept(lease: Lease) -> int:
    """An optimisation starts anew."""
    del lease
    return 0
