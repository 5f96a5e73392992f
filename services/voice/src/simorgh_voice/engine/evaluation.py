"""Has one model hear the clips of a dataset, one after the other, and scores each against its text.

A clip that cannot be decoded is told with the reason, and the next one is taken.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from simorgh_shared.audio.decoding import Decoder
from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.domain.jobs import Lane
from simorgh_shared.persian.scoring import (
    LONGEST_ALIGNED_CHARACTERS,
    ErrorCounts,
    FormScore,
    score_sample,
)
from simorgh_shared.speech.transcript import join_texts, segments_of
from simorgh_voice.engine.protocol import CLIPS, ClipToHear
from simorgh_voice.engine.transcription import Transcriber, TranscriptionSpec, transcribe

_OF_THE_CLIP = ("audio_", "clip_", "evaluation_text_")
"""Codes of failures that say nothing of the other clips."""


def hear_clips(
    transcriber: Transcriber,
    folder: Path,
    spec: TranscriptionSpec,
    *,
    decoder: Decoder,
    say: Callable[[dict[str, Any]], None],
    is_cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Hear the clips that the folder's list names; says a `heard` line for each and returns the `result` line.

    Raises: AppError for what would come of every clip; Cancelled.
    """
    audio_s = 0.0
    for clip in clips_of(folder):
        try:
            heard = _heard(transcriber, folder, clip, spec, decoder, is_cancelled)
            audio_s += heard["audio_s"]
        except AppError as error:
            if not error.code.startswith(_OF_THE_CLIP):
                raise
            heard = {"error": {"code": error.code, "message": str(error)}}
        told = {"row": clip.row, "file_name": clip.file_name, "clip": clip.clip, "reference": clip.reference}
        say({"type": "heard", **told, **heard})
        say({"type": "progress", "audio_s": clip.until_s, "total_s": clip.total_s, "rows": clip.row + 1})
    return {"type": "result", "duration_s": round(audio_s, 3)}


def clips_of(folder: Path) -> Iterator[ClipToHear]:
    """The clips that are still to be heard, in the order of their rows."""
    decoder = msgspec.json.Decoder(ClipToHear)
    with (folder / CLIPS).open("rb") as lines:
        yield from map(decoder.decode, lines)


def _heard(
    transcriber: Transcriber,
    folder: Path,
    clip: ClipToHear,
    spec: TranscriptionSpec,
    decoder: Decoder,
    is_cancelled: Callable[[], bool],
) -> dict[str, Any]:
    if clip.file is None:
        raise InvalidInputError("clip_missing", clip=clip.file_name)
    groups: list[Mapping[str, Any]] = []

    def keep(line: Mapping[str, Any]) -> None:
        if line["type"] == "transcribed":
            groups.append(line)

    began = time.monotonic()
    result = transcribe(
        transcriber,
        folder / clip.file,
        spec,
        None,
        decoder=decoder,
        lane=Lane.LONG,
        say=keep,
        is_cancelled=is_cancelled,
    )
    seconds = time.monotonic() - began
    text = join_texts((segment.text for segment in segments_of(groups)), result["language"] or "")
    return {
        "hypothesis": text,
        "language": result["language"],
        "audio_s": result["duration_s"],
        "seconds": round(seconds, 3),
        "scores": scores(clip.reference, text),
    }


def scores(reference: str, hypothesis: str) -> dict[str, Any]:
    """Scores of one clip by form, as they stand in its event.

    Raises: InvalidInputError for texts that are too long to be compared.
    """
    if max(len(reference), len(hypothesis)) > LONGEST_ALIGNED_CHARACTERS:
        raise InvalidInputError("evaluation_text_too_long", limit=LONGEST_ALIGNED_CHARACTERS)
    scored = score_sample(reference, hypothesis)
    return {str(form): _as_told(score) for form, score in scored.forms.items()}


def _as_told(score: FormScore) -> dict[str, Any]:
    steps = [[str(step.edit), step.reference, step.hypothesis] for step in score.alignment]
    return {"words": _numbers(score.words), "characters": _numbers(score.characters), "alignment": steps}


def _numbers(counts: ErrorCounts) -> list[int]:
    """Hits, substitutions, deletions, insertions."""
    return [counts.hits, counts.substitutions, counts.deletions, counts.insertions]
