"""A transcript as data: segments with times, words where they were asked for, and the one text they make.

It knows nothing of engines or storage; `to_builtins` and `from_builtins` are its JSON form.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages that are written without spaces between words."""


class Word(msgspec.Struct, frozen=True):
    """One word as it was heard; times in seconds from the start of the file."""

    word: str
    start: float
    end: float
    probability: float


class Segment(msgspec.Struct, frozen=True):
    """A stretch of speech and its text, without spaces around it; times in seconds from the start of the file."""

    id: int
    start: float
    end: float
    text: str
    words: list[Word] | None = None
    """None where word times were not asked for."""
    avg_logprob: float = 0.0
    no_speech_prob: float = 0.0
    compression_ratio: float = 1.0
    temperature: float = 0.0
    tokens: list[int] = []


class Transcript(msgspec.Struct, frozen=True):
    """Everything that was heard in one file."""

    language: str
    duration_s: float
    text: str
    segments: list[Segment]


def make_transcript(language: str, duration_s: float, segments: Sequence[Segment]) -> Transcript:
    """A transcript whose text is the segments' texts joined."""
    return Transcript(language, duration_s, join_texts((segment.text for segment in segments), language), [*segments])


def join_texts(texts: Iterable[str], language: str) -> str:
    """The one text of several stretches; empty ones add nothing."""
    space = "" if language in _WITHOUT_SPACES else " "
    return space.join(stripped for text in texts if (stripped := text.strip()))


def segments_of(groups: Iterable[Mapping[str, Any]]) -> list[Segment]:
    """The segments of a job's `transcribed` events in their order, numbered from 0 throughout.

    Raises: msgspec.ValidationError where a group has another shape.
    """
    return from_builtins([segment for group in groups for segment in group["segments"]])


def from_builtins(segments: Iterable[Any]) -> list[Segment]:
    """Segments from their JSON form, numbered from 0 in this order.

    Raises: msgspec.ValidationError.
    """
    found = msgspec.convert(list(segments), list[Segment])
    return [msgspec.structs.replace(segment, id=number) for number, segment in enumerate(found)]


def to_builtins(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """The JSON form of segments."""
    made: list[dict[str, Any]] = msgspec.to_builtins(segments)
    return made
