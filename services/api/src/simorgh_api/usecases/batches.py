"""Batches as OpenAI's clients see them: each is a view of its job, and has the job's id (R-CHAT-6)."""

import hashlib
import json
import time
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import files
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.training import Repeat
from simorgh_shared.db.models import Job
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, NotFoundError
from simorgh_shared.domain.jobs import DesiredState, JobStatus, JobType, Queue
from simorgh_shared.queue import control
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.schemas.batches import (
    BatchBody,
    BatchCounts,
    BatchError,
    BatchErrors,
    BatchStatus,
    OpenAIBatch,
    OpenAIBatchList,
)

QUEUE = Queue.IO
_PREFIX = "job"
_WINDOW_S = 24 * 3_600


def create(session: Session, who: Principal, body: BatchBody, repeat: Repeat) -> OpenAIBatch:
    """Queue a batch.

    Raises: NotFoundError; InvalidInputError for a file that was sent for something else; LimitedError.
    """
    file = files.get(session, who.project_id, body.input_file_id)
    if file.purpose != "batch":
        raise InvalidInputError(
            "batch_file_purpose", name="input_file_id", file_id=body.input_file_id, purpose=file.purpose
        )
    asked = body.model_dump()
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    new = NewJob(
        who.project_id,
        JobType.BATCH,
        QUEUE,
        asked | {"expires_at": int(time.time()) + _WINDOW_S},
        created_by=who.user_id,
        name=file.filename,
        idempotency_key=repeat.idempotency_key,
        body_hash=digest,
        is_retry=repeat.is_retry,
    )
    return get(session, who.project_id, enqueue(session, new))


def get(session: Session, project_id: str, batch_id: str) -> OpenAIBatch:
    """One batch.

    Raises: NotFoundError.
    """
    return _view(_row(session, project_id, batch_id))


def cancel(session: Session, project_id: str, batch_id: str) -> OpenAIBatch:
    """Ask a batch to end. Its answers go with it.

    Raises: NotFoundError, ConflictError where it has ended otherwise.
    """
    row = _row(session, project_id, batch_id)
    if JobStatus(row.status).is_terminal and row.status != JobStatus.CANCELLED:
        raise ConflictError("batch_ended", batch_id=batch_id, status=_status(row))
    control.request(session, project_id, batch_id, DesiredState.CANCEL)
    session.refresh(row)
    return _view(row)


def listed(session: Session, project_id: str, after: str | None, limit: int) -> OpenAIBatchList:
    """Batches older than `after`, newest first.

    Raises: InvalidInputError for what is no id of one.
    """
    query = _of(project_id)
    if after is not None:
        query = query.where(Job.id < files.cursor(after, _PREFIX))
    rows = session.scalars(query.order_by(Job.id.desc()).limit(limit + 1)).all()
    data = [_view(row) for row in rows[:limit]]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return OpenAIBatchList(data=data, first_id=first, last_id=last, has_more=len(rows) > limit)


def _of(project_id: str) -> "sa.Select[Job]":
    return sa.select(Job).where(Job.project_id == project_id, Job.type == JobType.BATCH, Job.hidden_at.is_(None))


def _row(session: Session, project_id: str, batch_id: str) -> Job:
    found = session.scalar(_of(project_id).where(Job.id == batch_id))
    if found is None:
        raise NotFoundError("batch_not_found", batch_id=batch_id[:80])
    return found


def _view(row: Job) -> OpenAIBatch:
    spec, progress, result, status = row.spec, row.progress, row.result or {}, _status(row)
    ended_at = _seconds(row.finished_at)
    return OpenAIBatch(
        id=row.id,
        endpoint=spec["endpoint"],
        input_file_id=spec["input_file_id"],
        completion_window=spec["completion_window"],
        status=status,
        errors=_errors(row.error),
        output_file_id=result.get("output_file_id"),
        error_file_id=result.get("error_file_id"),
        created_at=int(row.created_at.timestamp()),
        in_progress_at=progress.get("in_progress_at"),
        finalizing_at=progress.get("finalizing_at"),
        completed_at=ended_at if status == "completed" else None,
        failed_at=ended_at if status == "failed" else None,
        expires_at=spec["expires_at"],
        expired_at=ended_at if status == "expired" else None,
        cancelled_at=ended_at if status == "cancelled" else None,
        request_counts=BatchCounts(**{name: progress.get(name, 0) for name in BatchCounts.model_fields}),
        metadata=spec["metadata"],
    )


def _status(row: Job) -> BatchStatus:
    match JobStatus(row.status):
        case JobStatus.SUCCEEDED:
            return "expired" if (row.result or {}).get("expired") else "completed"
        case JobStatus.FAILED:
            return "failed"
        case JobStatus.CANCELLED:
            return "cancelled"
    if row.desired_state == DesiredState.CANCEL:
        return "cancelling"
    phase = row.progress.get("phase")
    if phase == "finalizing":
        return "finalizing"
    return "in_progress" if phase == "in_progress" else "validating"


def _errors(error: dict[str, Any] | None) -> BatchErrors | None:
    """What was wrong with lines, or else with all of it."""
    if error is None:
        return None
    lines = error.get("params", {}).get("lines")
    if lines:
        return BatchErrors(data=[BatchError.model_validate(line) for line in lines])
    return BatchErrors(data=[BatchError(code=error["code"], message=error["message"])])


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
