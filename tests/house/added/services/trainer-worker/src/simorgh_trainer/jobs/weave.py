"""Weaves a feather, in a child."""

from typing import Any

from sqlalchemy.orm import Session

from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """It needs its spec and no files."""
    del session
    return LaunchPlan("simorgh_trainer.weaving", {"job_id": lease.job_id, "spec": dict(lease.spec)}, {})


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Say which files there are and how large they are."""
    del session, lease, result
    return {"files": {entry.path: entry.blob.bytes for entry in entries}}


def checkpoints_kept(lease: Lease) -> int:
    """It makes none."""
    del lease
    return 0
