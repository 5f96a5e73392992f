"""What came of a voice job: its state, its text so far or whole, and why there is none (R-VOICE-1, R-VOICE-4)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.orm import Session, undefer

from simorgh_shared.db.models import Job, JobEvent, Transcript
from simorgh_shared.domain.errors import (
    AppError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
)
from simorgh_shared.domain.jobs import RESTING, JobStatus, JobType, Lane
from simorgh_shared.domain.messages import codes
from simorgh_shared.schemas.voice import SegmentView, TranscriptView, WordView
from simorgh_shared.speech.transcript import Segment, from_builtins, join_texts, segments_of

_KINDS: dict[str, type[AppError]] = {
    "audio_empty": InvalidInputError,
    "audio_unreadable": InvalidInputError,
    "audio_not_audio": UnsupportedError,
    "audio_too_long": TooLargeError,
    "speech_model_unfit": InvalidInputError,
    "speech_language_unknown": InvalidInputError,
    "speech_task_unfit": InvalidInputError,
    "speech_nothing_to_say": InvalidInputError,
    "speech_no_pitch": InvalidInputError,
    "speech_speed_unfit": InvalidInputError,
    "speech_pitch_unfit": InvalidInputError,
    "speech_voice_unfit": InvalidInputError,
    "speech_voice_unknown": NotFoundError,
    "espeak_missing": UnavailableError,
    "disk_full": UnavailableError,
}
"""Failures of a job that a person can do something about. Any other is our fault, and told as such."""


@dataclass(frozen=True)
class State:
    """Where a job is."""

    status: JobStatus
    lane: Lane
    spec: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None

    @property
    def is_settled(self) -> bool:
        """Whether nothing more comes unless somebody does something."""
        return self.status.is_terminal or self.status in RESTING


def state(session: Session, project_id: str, job_id: str, kind: JobType) -> State:
    """The job now.

    Raises: NotFoundError.
    """
    row = session.execute(
        sa.select(Job.status, Job.lane, Job.spec, Job.result, Job.error).where(
            Job.id == job_id, Job.project_id == project_id, Job.type == kind, Job.hidden_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        raise NotFoundError("job_not_found", job_id=job_id)
    return State(JobStatus(row.status), Lane(row.lane), row.spec, row.result, row.error)


def require_success(job_id: str, now: State) -> None:
    """Raises: what a job's failure means to whoever waits for it; ConflictError where somebody ended or rests it."""
    if now.status is JobStatus.SUCCEEDED:
        return
    if now.error is not None:
        _raise_failure(now.error)
    raise ConflictError("voice_job_ended", job_id=job_id, status=now.status)


def transcript(session: Session, job_id: str, now: State) -> tuple[TranscriptView, list[Segment]] | None:
    """What was heard, whole or so far; None before anything was. The view comes without segments and words."""
    row = session.scalar(sa.select(Transcript).where(Transcript.job_id == job_id).options(undefer(Transcript.segments)))
    if row is not None:
        found = from_builtins(row.segments)
        return _view(job_id, now, row.text, row.language, row.language_probability, row.duration_s), found
    groups = list(
        session.scalars(
            sa.select(JobEvent.payload)
            .where(JobEvent.job_id == job_id, JobEvent.type == "transcribed")
            .order_by(JobEvent.seq)
        )
    )
    if not groups:
        return None
    found = segments_of(groups)
    language = groups[-1].get("language") or now.spec.get("language")
    text = join_texts((segment.text for segment in found), language or "")
    return _view(job_id, now, text, language, groups[-1].get("language_probability"), None), found


def with_parts(view: TranscriptView, segments: Iterable[Segment], *, segmented: bool, words: bool) -> TranscriptView:
    """The same with its segments, its words or both."""
    found = list(segments)
    more: dict[str, Any] = {}
    if segmented:
        more["segments"] = segment_views(found)
    if words:
        more["words"] = word_views(found)
    return view.model_copy(update=more)


def segment_views(segments: Iterable[Segment]) -> list[SegmentView]:
    """Segments as the API shows them."""
    return [
        SegmentView(
            id=one.id,
            seek=round(one.start * 100),
            start=one.start,
            end=one.end,
            text=one.text,
            tokens=one.tokens,
            temperature=one.temperature,
            avg_logprob=one.avg_logprob,
            compression_ratio=one.compression_ratio,
            no_speech_prob=one.no_speech_prob,
        )
        for one in segments
    ]


def word_views(segments: Iterable[Segment]) -> list[WordView]:
    """The words of all segments as the API shows them."""
    return [
        WordView(word=word.word, start=word.start, end=word.end, probability=word.probability)
        for segment in segments
        for word in segment.words or ()
    ]


def _view(
    job_id: str, now: State, text: str, language: str | None, probability: float | None, duration_s: float | None
) -> TranscriptView:
    return TranscriptView(
        job_id=job_id,
        model_version_id=now.spec.get("model_version_id"),
        task=now.spec.get("task", "transcribe"),
        language=language,
        language_probability=probability,
        duration_s=duration_s,
        text=text,
    )


def _raise_failure(error: dict[str, Any]) -> NoReturn:
    code, params = str(error.get("code")), dict(error.get("params") or {})
    retry_after_s = params.pop("retry_after_s", None)
    if code not in codes():
        raise AppError("job_failed", reason=str(error.get("message") or code))
    raise _KINDS.get(code, AppError)(code, details=(), data=None, retry_after_s=retry_after_s, **params)
