"""The conversion job: a dataset's rows become a new dataset with rows of another kind."""

from typing import Any

from sqlalchemy.orm import Session

from simorgh_shared.db.models import Dataset, DatasetVersion, Job
from simorgh_shared.db.repositories import datasets
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan
from simorgh_trainer.jobs.importing import content_of, kept_as_result

MODULE = "simorgh_trainer.converting"


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """Look up the exact version.

    Raises: NotFoundError when it is gone.
    """
    version = session.get(DatasetVersion, lease.spec["dataset_version_id"])
    if version is None:
        reason = f"its dataset version {lease.spec['dataset_version_id']} does not exist any more"
        raise NotFoundError("job_failed", reason=reason)
    entries = manifests.entries(session, version.manifest_id)
    splits = [split["split"] for split in version.splits] or ["train"]
    run = {
        "job_id": lease.job_id,
        "attempt": lease.attempt,
        "type": lease.type,
        "spec": lease.spec,
        "inputs": {
            "dataset": {
                "row_schema": version.row_schema,
                "columns": version.columns,
                "files": {split: f"inputs/dataset/{split}.jsonl" for split in splits},
            }
        },
    }
    return LaunchPlan(MODULE, run, {"dataset": entries})


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Make the dataset that the files are."""
    user_id = session.get_one(Job, lease.job_id).created_by
    content = content_of(result["splits"], entries)
    source = session.get_one(Dataset, lease.spec["dataset_id"])
    name = lease.spec["name"] or f"{source.name}-{lease.spec['to']}"
    kept = datasets.keep(session, lease.project_id, user_id, name, content)
    return kept_as_result(kept, result["splits"])


def checkpoints_kept(lease: Lease) -> int:
    """A conversion starts anew."""
    del lease
    return 0
