"""The import job: files that came straight to storage become a dataset version."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from simorgh_shared.datasets.files import options_of, suffix_of
from simorgh_shared.datasets.tally import NUM_ERRORS_SHOWN
from simorgh_shared.db.models import Job, Upload
from simorgh_shared.db.repositories import datasets
from simorgh_shared.db.repositories.datasets import CheckedFile, Content, Kept
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage.incoming import IncomingFile
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.worker.process import LaunchPlan

MODULE = "simorgh_trainer.importing"


def plan(session: Session, lease: Lease) -> LaunchPlan:
    """Look up where the files lie.

    Raises: NotFoundError when one is gone.
    """
    files, incoming = [], []
    for sent in lease.spec["files"]:
        upload = session.get(Upload, sent["upload_id"])
        if upload is None or upload.cleared_at is not None:
            raise NotFoundError("upload_lost", name=sent["filename"])
        name = f"{sent['split']}{suffix_of(upload.name)}"
        incoming.append(IncomingFile(name, upload.key, upload.bytes))
        files.append(
            {
                "split": sent["split"],
                "path": f"inputs/incoming/{name}",
                "filename": upload.name,
                "bytes": upload.bytes,
                "sha256": upload.sha256,
            }
        )
    run = {
        "job_id": lease.job_id,
        "attempt": lease.attempt,
        "type": lease.type,
        "spec": lease.spec,
        "inputs": {"files": files},
    }
    return LaunchPlan(MODULE, run, {}, incoming=incoming)


def keep(session: Session, lease: Lease, result: dict[str, Any], entries: list[Entry]) -> dict[str, Any]:
    """Make the version that the files are."""
    options = options_of(lease.spec)
    splits: Sequence[dict[str, Any]] = result["splits"]
    content = content_of(splits, entries)
    if options.dataset_id is not None:
        kept = datasets.keep_version(session, lease.project_id, options.dataset_id, options.name, content)
    else:
        user_id = session.get_one(Job, lease.job_id).created_by
        kept = datasets.keep(session, lease.project_id, user_id, options.name or "", content)
    return kept_as_result(kept, splits)


def kept_as_result(kept: Kept, splits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a job says of the version that it made."""
    total, dropped = (sum(split["found"][name] for split in splits) for name in ("total_lines", "error_count"))
    return {
        "dataset_id": kept.dataset.id,
        "name": kept.dataset.name,
        "version_id": kept.version.id,
        "version": kept.version.version,
        "created": kept.created,
        "row_schema": kept.version.row_schema,
        "rows": kept.version.rows,
        "sha256": kept.version.content_sha256,
        "total_lines": total,
        "valid_lines": total - dropped,
        "error_count": dropped,
        "errors": [error for split in splits for error in split["errors"]][:NUM_ERRORS_SHOWN],
    }


def content_of(splits: Sequence[dict[str, Any]], entries: Sequence[Entry]) -> Content:
    """The child's files as what becomes a version."""
    blobs = {entry.path: entry.blob for entry in entries}
    files = [
        CheckedFile(split["split"], blobs[f"{split['split']}.jsonl"], split["rows"], split["found"]) for split in splits
    ]
    clips = [entry for entry in entries if entry.path.startswith("clips/")]
    return Content(splits[0]["row_schema"], files, splits[0]["columns"], clips)


def checkpoints_kept(lease: Lease) -> int:
    """An import starts anew."""
    del lease
    return 0
