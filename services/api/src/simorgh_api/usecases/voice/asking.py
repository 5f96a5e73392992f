"""Puts voice jobs on their queues, and takes them back (architecture, section 5)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.voice.ears import Ears, code_of
from simorgh_api.usecases.voice.voices import Voice
from simorgh_shared.db.models import File
from simorgh_shared.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import DesiredState, JobType, Lane, Queue
from simorgh_shared.queue import control
from simorgh_shared.queue.submit import NewJob, enqueue, has_live_worker
from simorgh_shared.schemas.voice import ListeningForm
from simorgh_shared.storage.blobs import StoredBlob

_RETRY_AFTER_S = 30
_NAME_CHARS = 200
_TEMPERATURE_STEP = 0.2  # as Whisper's own program raises it where a stretch comes out garbled


@dataclass(frozen=True)
class Queued:
    """A job that was put on its queue."""

    job_id: str
    queue: Queue
    lane: Lane


@dataclass(frozen=True)
class Bounds:
    """How much is work of the short lane, and how much is taken at all."""

    short_audio_s: float
    max_audio_s: float
    short_audio_bytes: int
    short_speech_chars: int
    max_speech_chars: int


@dataclass(frozen=True)
class Audio:
    """A file that came and is stored."""

    name: str
    blob: StoredBlob


@dataclass(frozen=True)
class Manner:
    """How a text is to be spoken."""

    format: str
    speed: float = 1.0
    pitch: float | None = None
    verbalise: bool = True


def queue_for_voice(session: Session) -> Queue:
    """The queue that a live worker serves, that of a GPU where one has it.

    Raises: UnavailableError where none is alive: nobody should wait for what does not come.
    """
    if has_live_worker(session, Queue.VOICE_GPU, with_device=True):
        return Queue.VOICE_GPU
    if has_live_worker(session, Queue.VOICE_CPU):
        return Queue.VOICE_CPU
    raise UnavailableError("voice_unavailable", retry_after_s=_RETRY_AFTER_S)


def listen(session: Session, who: Principal, audio: Audio, form: ListeningForm, model: Ears, bounds: Bounds) -> Queued:
    """Keep the file and queue its transcription.

    Raises: UnavailableError without a worker, LimitedError where a quota is used up.
    """
    queue = queue_for_voice(session)
    file_id = new_id("file")
    name = audio.name.replace("\x00", "")[:_NAME_CHARS] or "audio"
    session.add(
        File(
            id=file_id,
            project_id=who.project_id,
            purpose="audio",
            name=name,
            sha256=audio.blob.sha256,
            bytes=audio.blob.bytes,
            created_by=who.user_id,
        )
    )
    session.flush()
    spec: dict[str, Any] = {
        "file_id": file_id,
        "name": name,
        "sha256": audio.blob.sha256,
        "bytes": audio.blob.bytes,
        "model_version_id": model.version_id,
        "task": form.task,
        "language": code_of(form.language) or (model.languages[0] if len(model.languages) == 1 else None),
        "prompt": form.prompt or None,
        "temperature": temperatures_from(form.temperature),
        "words": "word" in form.timestamp_granularities,
        "vad": form.vad_filter,
        "short_audio_s": bounds.short_audio_s,
        "max_audio_s": bounds.max_audio_s,
    }
    lane = Lane.LONG if audio.blob.bytes > bounds.short_audio_bytes else Lane.SHORT
    new = NewJob(who.project_id, JobType.TRANSCRIBE, queue, spec, created_by=who.user_id, name=name, lane=lane)
    return Queued(enqueue(session, new), queue, lane)


def speak(session: Session, who: Principal, text: str, voice: Voice, manner: Manner, bounds: Bounds) -> Queued:
    """Queue the speaking of a text.

    Raises: UnavailableError without a worker, LimitedError where a quota is used up.
    """
    queue = queue_for_voice(session)
    spec: dict[str, Any] = {
        "text": text,
        "language": voice.language,
        "voice": voice.voice,
        "voice_name": voice.name,
        "speed": manner.speed,
        "pitch": manner.pitch,
        "format": manner.format,
        "verbalise": manner.verbalise,
    }
    lane = Lane.LONG if len(text) > bounds.short_speech_chars else Lane.SHORT
    name = " ".join(text.split())[:60]
    new = NewJob(who.project_id, JobType.SYNTHESIZE, queue, spec, created_by=who.user_id, name=name, lane=lane)
    return Queued(enqueue(session, new), queue, lane)


def require_speakable(text: str, field: str, bounds: Bounds) -> None:
    """Raises: InvalidInputError for no text, TooLargeError for too much."""
    if not text.strip():
        raise InvalidInputError("text_empty", name=field)
    if "\x00" in text:
        raise InvalidInputError("invalid_body", name=field, where=field, reason="a text holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        reason = "it holds half of a surrogate pair, which is no character"
        raise InvalidInputError("invalid_body", name=field, where=field, reason=reason) from error
    if len(text) > bounds.max_speech_chars:
        raise TooLargeError("text_too_long", name=field, chars=len(text), limit=bounds.max_speech_chars)


def temperatures_from(first: float) -> list[float]:
    """The temperature that was asked for, and those that follow where a stretch comes out garbled."""
    steps = int((1.0 - first) / _TEMPERATURE_STEP + 1e-6)
    return [round(first + step * _TEMPERATURE_STEP, 3) for step in range(steps + 1)]


def take_back(session: Session, project_id: str, job_id: str) -> bool:
    """Cancel a job that nobody waits for any more; False where it has ended or is gone."""
    try:
        control.request(session, project_id, job_id, DesiredState.CANCEL)
    except (ConflictError, NotFoundError):
        return False
    return True
