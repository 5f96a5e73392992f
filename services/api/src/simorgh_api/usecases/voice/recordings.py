"""The audio of voice jobs: what was made, part by part and whole, and letting go of it (R-VOICE-2)."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases.voice.outcomes import State
from simorgh_shared.db.models import Blob, File, Job, JobEvent, Transcript
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.domain.jobs import JobStatus, JobType
from simorgh_shared.storage.blobs import StoredBlob

_WITH_TEXT = ("transcribed", "part", "heard")
_PAGE = 8  # of a listener who is slow, no more is held than so many sentences


@dataclass(frozen=True)
class Part:
    """A piece of speech: all of a job's pieces after each other are the whole stream."""

    seq: int
    attempt: int
    number: int
    blob: StoredBlob


@dataclass(frozen=True)
class News:
    """What a job that speaks has brought since it was last looked at."""

    parts: list[Part]
    status: JobStatus
    attempt: int
    """The newest that has begun."""
    num_parts: int | None
    """Of the whole speech, once it is done."""

    @property
    def has_more(self) -> bool:
        """Whether more parts may be there already."""
        return len(self.parts) == _PAGE


def news(session: Session, job_id: str, after: int, now: State) -> News:
    """The next parts beyond `after`, an event's number; `now` was read before them, so that none of it is missed.

    Raises: NotFoundError for a part whose bytes are gone.
    """
    rows = session.execute(
        sa.select(JobEvent.seq, JobEvent.attempt, JobEvent.payload, Blob)
        .outerjoin(Blob, Blob.sha256 == JobEvent.payload["sha256"].astext)
        .where(JobEvent.job_id == job_id, JobEvent.seq > after, JobEvent.type == "part")
        .order_by(JobEvent.seq)
        .limit(_PAGE)
    ).all()
    parts = []
    for row in rows:
        if row.Blob is None:
            raise NotFoundError("speech_gone", job_id=job_id)
        stored = StoredBlob(row.Blob.sha256, row.Blob.bytes, row.Blob.key)
        parts.append(Part(row.seq, row.attempt, int(row.payload["number"]), stored))
    attempt = session.scalar(sa.select(Job.attempt).where(Job.id == job_id)) or 0
    return News(parts, now.status, attempt, (now.result or {}).get("num_parts"))


def part_views(session: Session, job_id: str) -> list[dict[str, Any]]:
    """What was made so far, by the newest attempt that made anything; not the few bytes that only end the file."""
    newest = sa.select(sa.func.max(JobEvent.attempt)).where(JobEvent.job_id == job_id, JobEvent.type == "part")
    rows = session.scalars(
        sa.select(JobEvent.payload)
        .where(JobEvent.job_id == job_id, JobEvent.type == "part", JobEvent.attempt == newest.scalar_subquery())
        .order_by(JobEvent.seq)
    )
    shown = ("number", "text", "bytes", "audio_s")
    return [
        {name: payload[name] for name in shown if name in payload}
        for payload in rows
        if payload.get("text") or payload.get("audio_s")
    ]


def whole(session: Session, project_id: str, job_id: str, now: State) -> StoredBlob:
    """The finished file of a job that speaks.

    Raises: ConflictError before it is there, NotFoundError once it was let go.
    """
    if now.status is not JobStatus.SUCCEEDED or now.result is None:
        raise ConflictError("speech_not_ready", job_id=job_id, status=now.status)
    row = session.execute(
        sa.select(Blob.sha256, Blob.bytes, Blob.key)
        .join(File, File.sha256 == Blob.sha256)
        .where(File.id == now.result.get("file_id"), File.project_id == project_id, File.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFoundError("speech_gone", job_id=job_id)
    return StoredBlob(row.sha256, row.bytes, row.key)


def is_kept(session: Session, project_id: str, now: State) -> bool:
    """Whether the finished file is there."""
    file_id = (now.result or {}).get("file_id")
    kept = sa.select(File.id).where(File.id == file_id, File.project_id == project_id, File.deleted_at.is_(None))
    return file_id is not None and session.scalar(kept) is not None


def let_go(session: Session, job_id: str) -> None:
    """Drop audio, text and report of a voice job that has ended; of any other job nothing."""
    row = session.execute(sa.select(Job.type, Job.spec, Job.result).where(Job.id == job_id)).one_or_none()
    if row is None or row.type not in (JobType.TRANSCRIBE, JobType.SYNTHESIZE, JobType.EVALUATE_SPEECH):
        return
    made = row.result or {}
    named = (row.spec.get("file_id"), *(made.get(name) for name in ("file_id", "report_file_id", "samples_file_id")))
    ids = [value for value in named if isinstance(value, str)]
    session.execute(sa.delete(File).where(File.id.in_(ids), File.purpose.in_(("audio", "speech", "evaluation"))))
    session.execute(sa.delete(Transcript).where(Transcript.job_id == job_id))
    # What was said stands in the events too, and what was to be said in the job: those go with the rest.
    its_own = sa.select(Job.id).where((Job.id == job_id) | (Job.parent_id == job_id))
    session.execute(sa.delete(JobEvent).where(JobEvent.job_id.in_(its_own), JobEvent.type.in_(_WITH_TEXT)))
    left = Job.spec.op("-")("text").op("-")("prompt").op("-")("name")
    session.execute(sa.update(Job).where(Job.id == job_id).values(spec=left))
