"""What crosses the socket between worker and engine child: one JSON object a line, one request at a time.

To the child: a `RunRequest`, and `{"op": "cancel", "id"}`. From it: `{"ready": {...}}` once, `{"models": {"num",
"bytes"}}` whenever models come or go, and for a request lines with its `id` and a `type`:

- `alive`: nothing to tell, but at work (a model is loaded, say)
- `progress {audio_s, total_s}`
- `transcribed {number, from_s, until_s, next_offset_samples, segments, language, …}`: a finished group of chunks
- `heard {row, file_name, clip, reference}` and either `{hypothesis, language, audio_s, seconds, scores}` or `{error}`
- `part {number, path, text, audio_s}`: a file in the output folder with the next bytes of the speech
- and at last one of `result {…}`, `moved {duration_s}`, `failed {code, params}`, `cancelled`.
"""

from typing import Any, TypedDict

import msgspec

ENDINGS = frozenset({"result", "moved", "failed", "cancelled"})
ALIVE_INTERVAL_S = 10.0
CLIPS = "clips.jsonl"
"""In the input folder of `hear_clips`: a `ClipToHear` in each line."""


class ClipToHear(msgspec.Struct, frozen=True):
    """A clip that lies in the input folder, and what is said in it."""

    row: int
    file_name: str
    """What its owner calls it."""
    clip: str
    """Where it lies in the dataset's version."""
    reference: str
    file: str | None
    """In the input folder; None where storage has lost it."""
    until_s: float
    """How long all clips are up to its end; those heard by earlier attempts count."""
    total_s: float


class ResumeState(TypedDict):
    """Where an earlier attempt ended."""

    offset_samples: int
    number: int
    """Of the group that comes next."""
    language: str | None
    language_probability: float | None
    speech_s: float
    """Speech found before the offset."""


class RunRequest(TypedDict):
    """A request as the worker sends it, checked."""

    op: str
    id: str
    kind: str
    """`transcribe`, `synthesize` or `hear_clips`."""
    model_key: str
    """The same key is the same model: it stays loaded."""
    model_dir: str | None
    """None for a voice that needs none."""
    spec: dict[str, Any]
    input: str | None
    output: str
    resume: ResumeState | None
