"""One transcription from its file to its last line: what is refused, what moves to the other lane, group by group."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from simorgh_shared.audio.decoding import Decoder, Decoding
from simorgh_shared.audio.samples import SAMPLE_RATE, Samples
from simorgh_shared.speech.transcript import to_builtins
from simorgh_voice.engine.transcription.chunking import Group, groups_of
from simorgh_voice.engine.transcription.hearing import Hearing, encoded_at_once
from simorgh_voice.engine.transcription.model import Transcriber
from simorgh_voice.engine.transcription.segmenting import segments_of
from simorgh_voice.engine.transcription.spec import Cancelled, Moved, Resume, TranscriptionSpec

Say = Callable[[dict[str, Any]], None]
_SHORT = "short"


def transcribe(
    transcriber: Transcriber,
    audio: Path,
    spec: TranscriptionSpec,
    resume: Resume | None,
    *,
    decoder: Decoder,
    lane: str,
    say: Say,
    is_cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Transcribe a file; says `progress` and `transcribed` lines and returns the `result` line.

    Raises: InvalidInputError, UnsupportedError, TooLargeError (audio_…, speech_…), Moved, Cancelled.
    """
    _check_spec(transcriber, spec)
    start = resume.offset_samples if resume else 0
    with decoder.decode(audio, max_audio_s=spec.max_audio_s, start_sample=start) as decoding:
        blocks: Iterable[Samples] = decoding
        if lane == _SHORT and resume is None:
            blocks, total_s = _short_sound(decoding, spec)
        else:
            total_s = _total_s(decoder, audio, decoding, spec)
        return _Run(transcriber, spec, resume, total_s, say, is_cancelled).over(blocks)


def _check_spec(transcriber: Transcriber, spec: TranscriptionSpec) -> None:
    """Refuse what the model cannot do before the file is read."""
    transcriber.tokenizer(spec.language or "en", spec.task)


def _short_sound(decoding: Decoding, spec: TranscriptionSpec) -> tuple[Iterable[Samples], float]:
    """All of a short clip.

    Raises: Moved, as soon as it is longer.
    """
    blocks, num_samples = [], 0
    for block in decoding:
        blocks.append(block)
        num_samples += len(block)
        if num_samples > spec.short_audio_s * SAMPLE_RATE:
            raise Moved(round(max(decoding.source.claimed_s or 0.0, num_samples / SAMPLE_RATE), 3))
    return blocks, num_samples / SAMPLE_RATE


def _total_s(decoder: Decoder, audio: Path, decoding: Decoding, spec: TranscriptionSpec) -> float:
    """How long the file is: what it claims where that is within the limit, else what comes out of it.

    Raises: TooLargeError (audio_too_long), before anything is transcribed.
    """
    claimed_s = decoding.source.claimed_s
    if claimed_s is not None and claimed_s <= spec.max_audio_s:
        return claimed_s
    return decoder.measure_s(audio, max_audio_s=spec.max_audio_s)


class _Run:
    """One transcription under way."""

    def __init__(
        self,
        transcriber: Transcriber,
        spec: TranscriptionSpec,
        resume: Resume | None,
        total_s: float,
        say: Say,
        is_cancelled: Callable[[], bool],
    ) -> None:
        self._transcriber = transcriber
        self._spec = spec
        self._say = say
        self._is_cancelled = is_cancelled
        self._total_s = total_s
        self._position = resume.offset_samples if resume else 0
        self._number = resume.number if resume else 0
        self._speech_s = resume.speech_s if resume else 0.0
        self._language = spec.language or (resume.language if resume else None)
        self._probability: float | None = 1.0 if spec.language else (resume.language_probability if resume else None)
        self._hearing: Hearing | None = None

    def over(self, blocks: Iterable[Samples]) -> dict[str, Any]:
        """Hear all groups; the next one is decoded and cut while one is heard."""
        with ThreadPoolExecutor(1, "sound") as ahead:
            groups = groups_of(self._counted(blocks), self._position, vad=self._spec.vad, number=self._number)
            coming = ahead.submit(next, groups, None)
            while (group := coming.result()) is not None:
                coming = ahead.submit(next, groups, None)
                try:
                    self._hear(group)
                except BaseException:
                    coming.cancel()
                    raise
        return {
            "type": "result",
            "language": self._language,
            "language_probability": self._probability,
            "duration_s": round(self._position / SAMPLE_RATE, 3),
            "speech_s": self._speech_s,
        }

    def _counted(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        for block in blocks:
            if self._is_cancelled():
                raise Cancelled
            yield block

    def _hear(self, group: Group) -> None:
        self._check()
        if group.chunks:
            self._tell(group, self._segments(group))
        self._position = group.next_start
        position_s = group.next_start / SAMPLE_RATE
        self._say(
            {"type": "progress", "audio_s": round(position_s, 3), "total_s": round(max(self._total_s, position_s), 3)}
        )

    def _segments(self, group: Group) -> list[dict[str, Any]]:
        parts = self._transcriber.split(group.chunks)
        encoded = encoded_at_once(self._transcriber, parts)
        self._check()
        if self._language is None:
            self._language, self._probability = self._transcriber.detect_language(encoded)
        if self._hearing is None:
            self._hearing = Hearing(self._transcriber, self._spec, self._language, self._check)
        heard = self._hearing.hear(parts, encoded)
        return to_builtins(
            segments_of(
                heard,
                with_words=self._spec.words,
                earliest_s=group.start / SAMPLE_RATE,
                latest_s=group.next_start / SAMPLE_RATE,
            )
        )

    def _tell(self, group: Group, segments: list[dict[str, Any]]) -> None:
        speech_s = sum(chunk.duration_s for chunk in group.chunks)
        self._speech_s = round(self._speech_s + speech_s, 3)
        self._say(
            {
                "type": "transcribed",
                "number": self._number,
                "from_s": round(group.start / SAMPLE_RATE, 3),
                "until_s": round(group.next_start / SAMPLE_RATE, 3),
                "next_offset_samples": group.next_start,
                "language": self._language,
                "language_probability": self._probability,
                "speech_s": self._speech_s,
                "segments": segments,
            }
        )
        self._number += 1

    def _check(self) -> None:
        if self._is_cancelled():
            raise Cancelled
