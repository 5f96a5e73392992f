"""What is asked of one transcription, where it goes on, and how it may leave without a result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec


class TranscriptionSpec(msgspec.Struct, frozen=True):
    """One transcription; the fields of the job's spec that name the file and the model are passed over."""

    task: str = "transcribe"
    language: str | None = None
    """Whisper's code; None: it is heard."""
    prompt: str | None = None
    temperature: tuple[float, ...] = (0.0,)
    """The first is how text is chosen; more of them allow that what came out badly is heard again."""
    words: bool = False
    vad: bool = True
    short_audio_s: float = 30.0
    max_audio_s: float = 28_800.0

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Raises: msgspec.ValidationError."""
        return msgspec.convert(dict(given), cls)


@dataclass(frozen=True)
class Resume:
    """Where an attempt before this one had come."""

    offset_samples: int
    number: int
    """Of the next group."""
    language: str | None = None
    language_probability: float | None = None
    speech_s: float = 0.0


class Moved(Exception):  # noqa: N818 - it is no error
    """The sound is too long for the lane of short clips."""

    def __init__(self, duration_s: float) -> None:
        super().__init__(duration_s)
        self.duration_s = duration_s


class Cancelled(Exception):  # noqa: N818 - it was asked for
    """Nobody wants the result any more."""
