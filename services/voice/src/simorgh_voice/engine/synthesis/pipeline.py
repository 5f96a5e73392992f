"""Speaks a text: sentence by sentence, each encoded and told of as soon as it is ready, and the whole file at the end.

Memory is that of one sentence, however long the text. The same text and voice always make the same parts: byte for byte
with VITS, to some samples with eSpeak.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from simorgh_shared.audio.encoding import StreamEncoder
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.speech.voices import language_name
from simorgh_voice.engine.synthesis import levels
from simorgh_voice.engine.synthesis.sentences import Spoken, spoken_sentences
from simorgh_voice.engine.synthesis.spec import SynthesisSpec
from simorgh_voice.engine.synthesis.voices import Cancelled, Samples, Voice

Say = Callable[[dict[str, Any]], None]
_MOST_LEFT_OUT = 50  # letters that are told of


def synthesize(
    voice: Voice, spec: SynthesisSpec, output: Path, *, say: Say, is_cancelled: Callable[[], bool]
) -> dict[str, Any]:
    """Speak a text into the folder `output`; returns the result line. Says `part` and `progress` lines.

    Raises: InvalidInputError where nothing can be said, or not so; Cancelled.
    """
    if spec.pitch != 1.0 and not voice.has_pitch:
        raise InvalidInputError("speech_no_pitch", voice=spec.voice_name)
    writing = _Writing(spec, voice.sample_rate, output, say)
    left_out: set[str] = set()
    pause_s = 0.0
    for sentence in spoken_sentences(spec.text, spec.language, spec.verbalise):
        if is_cancelled():
            raise Cancelled
        said = voice.speak(sentence.text, speed=spec.speed, pitch=spec.pitch, is_cancelled=is_cancelled)
        left_out |= said.dropped
        samples = levels.prepared(said.samples, voice.sample_rate)
        if len(samples):
            writing.add(levels.silence(pause_s / spec.speed, voice.sample_rate), samples, sentence)
            pause_s = sentence.pause_s
        else:
            pause_s = max(pause_s, sentence.pause_s)
    if not writing.duration_s:
        raise InvalidInputError("speech_nothing_to_say", voice=spec.voice_name, language=language_name(voice.language))
    return writing.finish() | {"voice": spec.voice_name, "left_out": sorted(left_out)[:_MOST_LEFT_OUT]}


class _Writing:
    """The stream as it grows: its parts, and the whole file."""

    def __init__(self, spec: SynthesisSpec, sample_rate: int, output: Path, say: Say) -> None:
        self._encoder = StreamEncoder(spec.format, sample_rate)
        self._suffix = spec.format.suffix
        self._output = output
        self._whole = output / f"speech{self._suffix}"
        self._whole.write_bytes(b"")
        self._say = say
        self._num_chars = len(spec.text)
        self._num_parts = 0
        self._texts: list[str] = []
        self._told_s = 0.0

    @property
    def duration_s(self) -> float:
        return self._encoder.duration_s

    def add(self, pause: Samples, samples: Samples, sentence: Spoken) -> None:
        self._texts.append(sentence.text)
        self._write(self._encoder.write(pause) + self._encoder.write(samples))
        share = min(1.0, max(sentence.until, 1) / max(self._num_chars, 1))
        total_s = max(self.duration_s / share, self.duration_s)
        self._say({"type": "progress", "audio_s": round(self.duration_s, 3), "total_s": round(total_s, 3)})

    def finish(self) -> dict[str, Any]:
        self._write(self._encoder.close())
        self._encoder.finish_file(self._whole)
        return {
            "type": "result",
            "path": self._whole.name,
            "duration_s": round(self.duration_s, 3),
            "sample_rate": self._encoder.sample_rate,
            "num_parts": self._num_parts,
            "characters": self._num_chars,
        }

    def _write(self, data: bytes) -> None:
        """Tell of the next part; a codec that holds everything back yet tells of it with what comes later."""
        if not data:
            return
        part = self._output / f"part-{self._num_parts:05}{self._suffix}"
        part.write_bytes(data)
        with self._whole.open("ab") as file:
            file.write(data)
        text, self._texts = " ".join(self._texts), []
        new_s, self._told_s = self.duration_s - self._told_s, self.duration_s
        self._say(
            {"type": "part", "number": self._num_parts, "path": part.name, "text": text, "audio_s": round(new_s, 3)}
        )
        self._num_parts += 1
