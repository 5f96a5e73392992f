"""Queues the job that checks sent files and makes a dataset version of them (R-DATA-1, R-DATA-8)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import datasets, quotas
from simorgh_api.usecases.principals import Principal
from simorgh_shared.datasets.files import ImportOptions, options_of
from simorgh_shared.db.models import Upload
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.storage.incoming import IncomingStore, new_key

_SPLITS = ("train", "test")


@dataclass(frozen=True)
class WholeFile:
    """A file that came through the gateway in one piece."""

    path: Path
    filename: str


def store(
    sessions: sessionmaker[Session],
    storage: IncomingStore,
    principal: Principal,
    files: Sequence[WholeFile],
    options: ImportOptions,
    limit_bytes: int,
) -> str:
    """Store files that came in one piece, the train file first, and queue their import; the job's id.

    Raises: NotFoundError, LimitedError, UnavailableError; nothing stays then.
    """
    project_id = principal.project_id
    sizes = [file.path.stat().st_size for file in files]
    if not all(sizes):
        raise InvalidInputError("dataset_empty")
    with sessions() as session:
        if options.dataset_id is not None:
            datasets.get(session, project_id, options.dataset_id)
        quotas.require_room(session, project_id, sum(sizes))
    keys = [new_key(project_id) for _ in files]
    try:
        for key, file in zip(keys, files, strict=True):
            storage.put(key, file.path)
        with sessions.begin() as session:
            quotas.require_room(session, project_id, sum(sizes))
            uploads = [
                _whole(principal, file, key, size, options) for file, key, size in zip(files, keys, sizes, strict=True)
            ]
            session.add_all(uploads)
            session.flush()
            return queue(session, principal, uploads, limit_bytes)
    except BaseException:
        for key in keys:
            storage.drop(key, None)
        raise


def _whole(principal: Principal, file: WholeFile, key: str, num_bytes: int, options: ImportOptions) -> Upload:
    return Upload(
        id=new_id("upl"),
        project_id=principal.project_id,
        created_by=principal.user_id,
        purpose="dataset",
        name=file.filename,
        bytes=num_bytes,
        part_bytes=num_bytes,
        options=options.as_json(),
        key=key,
        status="completed",
    )


def queue(session: Session, principal: Principal, uploads: Sequence[Upload], limit_bytes: int) -> str:
    """Queue the import of a train file, and of a test file if there is one; the job's id.

    The options are the train file's; `limit_bytes` is the most that the rows may take.
    Raises: NotFoundError for a dataset that is gone; LimitedError.
    """
    train = uploads[0]
    options = options_of(train.options)
    if options.dataset_id is not None:
        datasets.get(session, principal.project_id, options.dataset_id)
    name = options.name or (None if options.dataset_id else Path(train.name).name or train.name)
    spec = options.as_json() | {
        "name": name,
        "limit_bytes": limit_bytes,
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
