"""Files of a project as OpenAI's clients see them: those that were sent for a purpose of theirs, and what batches made.

Audio and datasets have surfaces of their own: their rows are not among these.
"""

from typing import get_args

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import Blob, File, Job
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, NotFoundError
from simorgh_shared.domain.ids import is_id, new_id
from simorgh_shared.domain.jobs import TERMINAL, JobType
from simorgh_shared.schemas.files import OpenAIFile, OpenAIFileList, Purpose, SentPurpose
from simorgh_shared.storage.blobs import StoredBlob

_PREFIX = "file"
_NAME_CHARS = 255
_SENT: tuple[str, ...] = get_args(SentPurpose)
_SHOWN: tuple[str, ...] = get_args(Purpose)


def require_purpose(given: str) -> None:
    """Raises: InvalidInputError for a purpose that nothing here is made for."""
    if given not in _SENT:
        reason = f"files are taken for {', '.join(_SENT)}"
        raise InvalidInputError("invalid_parameter", name="purpose", value=given[:40], reason=reason)


def keep(session: Session, who: Principal, purpose: str, name: str, blob: StoredBlob) -> OpenAIFile:
    """Make a file of bytes that are stored."""
    row = File(
        id=new_id(_PREFIX),
        project_id=who.project_id,
        purpose=purpose,
        name=name.replace("\x00", "")[:_NAME_CHARS] or "file",
        sha256=blob.sha256,
        bytes=blob.bytes,
        created_by=who.user_id,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return _view(row)


def listed(
    session: Session, project_id: str, purpose: str | None, after: str | None, limit: int, *, newest_first: bool
) -> OpenAIFileList:
    """Files from `after` on, which is the id of a file that need not be there any more.

    Raises: InvalidInputError for what is no such id.
    """
    query = _of(project_id)
    if purpose is not None:
        query = query.where(File.purpose == purpose)
    if after is not None:
        query = query.where(File.id < cursor(after, _PREFIX) if newest_first else File.id > cursor(after, _PREFIX))
    rows = session.scalars(query.order_by(File.id.desc() if newest_first else File.id).limit(limit + 1)).all()
    data = [_view(row) for row in rows[:limit]]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return OpenAIFileList(data=data, first_id=first, last_id=last, has_more=len(rows) > limit)


def cursor(after: str, prefix: str) -> str:
    """The id that a list goes on after.

    Raises: InvalidInputError.
    """
    if not is_id(after, prefix):
        reason = "it must be the id of an entry of this list"
        raise InvalidInputError("invalid_parameter", name="after", value=after[:40], reason=reason)
    return after


def get(session: Session, project_id: str, file_id: str) -> OpenAIFile:
    """One file.

    Raises: NotFoundError.
    """
    return _view(_row(session, project_id, file_id))


def content(session: Session, project_id: str, file_id: str) -> tuple[str, StoredBlob]:
    """Its name, and where its bytes lie.

    Raises: NotFoundError.
    """
    row = _row(session, project_id, file_id)
    blob = session.get_one(Blob, row.sha256)
    return row.name, StoredBlob(blob.sha256, blob.bytes, blob.key)


def delete(session: Session, project_id: str, file_id: str) -> None:
    """Drop the row, and with it what keeps the bytes.

    Raises: NotFoundError; ConflictError while a batch that has not ended reads it.
    """
    row = _row(session, project_id, file_id)
    reader = session.scalar(
        sa.select(Job.id)
        .where(Job.project_id == project_id, Job.type == JobType.BATCH, Job.status.not_in(TERMINAL))
        .where(Job.spec["input_file_id"].astext == file_id)
        .limit(1)
    )
    if reader is not None:
        raise ConflictError("file_in_use", file_id=file_id, job_id=reader)
    session.delete(row)


def _of(project_id: str) -> "sa.Select[File]":
    return sa.select(File).where(File.project_id == project_id, File.purpose.in_(_SHOWN), File.deleted_at.is_(None))


def _row(session: Session, project_id: str, file_id: str) -> File:
    found = session.scalar(_of(project_id).where(File.id == file_id))
    if found is None:
        raise NotFoundError("file_not_found", file_id=file_id[:80])
    return found


def _view(row: File) -> OpenAIFile:
    return OpenAIFile(
        id=row.id,
        bytes=row.bytes,
        created_at=int(row.created_at.timestamp()),
        filename=row.name,
        purpose=row.purpose,
    )
