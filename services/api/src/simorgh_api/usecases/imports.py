"""Queues the job that checks sent files and makes a dataset version of them (R-DATA-1, R-DATA-8)."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from simorgh_api.usecases import datasets
from simorgh_api.usecases.principals import Principal
from simorgh_shared.datasets.files import options_of
from simorgh_shared.db.models import Upload
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue

_SPLITS = ("train", "test")


def queue(session: Session, principal: Principal, uploads: Sequence[Upload]) -> str:
    """Queue the import of a train file, and of a test file if there is one; the job's id.

    The options are the train file's. Raises: NotFoundError for a dataset that is gone; LimitedError.
    """
    train = uploads[0]
    options = options_of(train.options)
    if options.dataset_id is not None:
        datasets.get(session, principal.project_id, options.dataset_id)
    name = options.name or (None if options.dataset_id else Path(train.name).name or train.name)
    spec = options.as_json() | {
        "name": name,
        "files": [
            {"split": split, "upload_id": upload.id, "filename": upload.name, "bytes": upload.bytes}
            for split, upload in zip(_SPLITS, uploads, strict=False)
        ],
    }
    job_id = enqueue(
        session,
        NewJob(principal.project_id, JobType.IMPORT, Queue.IO, spec, created_by=principal.user_id, name=train.name),
    )
    for upload in uploads:
        upload.status, upload.job_id = "completed", job_id
    session.flush()
    return job_id
