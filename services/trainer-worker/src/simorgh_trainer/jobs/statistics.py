"""The statistics job: what its child reads of a dataset version, and where what it found is kept."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import DatasetVersion
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan

MODULE = "simorgh_trainer.statistics"
_SPLITS = ("train", "test")


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """Look up the rows of the version; clips and the like are not read.

    Raises: NotFoundError when the version is gone.
    """
    version = session.get(DatasetVersion, lease.spec["dataset_version_id"])
    if version is None:
        reason = f"its dataset version {lease.spec['dataset_version_id']} does not exist any more"
        raise NotFoundError("job_failed", reason=reason)
    names = {f"{split}.jsonl": split for split in _SPLITS}
    files = [entry for entry in manifests.entries(session, version.manifest_id) if entry.path in names]
    paths: dict[str, list[str]] = {split: [] for split in _SPLITS}
    for file in files:
        paths[names[file.path]].append(f"inputs/dataset/{file.path}")
    facts = {name: getattr(version, name) for name in ("rows", "bytes")} | {"sha256": version.content_sha256}
    splits = [{name: split[name] for name in ("split", "rows", "bytes", "sha256")} for split in version.splits]
    run = {
        "job_id": lease.job_id,
        "attempt": lease.attempt,
        "type": lease.type,
        "inputs": {
            "dataset": {"row_schema": version.row_schema, "columns": version.columns, **paths},
            "facts": {**facts, "splits": splits},
        },
    }
    return LaunchPlan(MODULE, run, {"dataset": files})


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Write what was found into the version, and into those of the same content that wait for it."""
    del entries  # nothing is stored but what is found
    waiting = DatasetVersion.statistics_job_id == lease.job_id
    session.execute(sa.update(DatasetVersion).where(waiting).values(statistics=result["statistics"]))
    return {"dataset_version_id": lease.spec["dataset_version_id"]}


def checkpoints_kept(lease: Lease) -> int:
    """None are made: what is begun again begins anew."""
    del lease
    return 0
