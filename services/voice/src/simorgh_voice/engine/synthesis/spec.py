"""What is asked of a synthesis, parsed from the job's specification."""

from dataclasses import dataclass
from typing import Any

from simorgh_shared.audio.formats import SpeechFormat
from simorgh_shared.domain.errors import InvalidInputError

SLOWEST, FASTEST = 0.25, 4.0
LOWEST, HIGHEST = 0.5, 2.0


@dataclass(frozen=True)
class SynthesisSpec:
    """A text and how it is spoken."""

    text: str
    language: str
    """Of the text; Persian is written out in words first."""
    voice_name: str
    """What the caller called the voice; for answers alone."""
    format: SpeechFormat = SpeechFormat.MP3
    speed: float = 1.0
    pitch: float = 1.0
    verbalise: bool = True
    """Whether numbers, dates and the like are written out in words."""

    def __post_init__(self) -> None:
        """Raises: InvalidInputError."""
        if not SLOWEST <= self.speed <= FASTEST:
            raise InvalidInputError("speech_speed_unfit", speed=self.speed, slowest=SLOWEST, fastest=FASTEST)
        if not LOWEST <= self.pitch <= HIGHEST:
            raise InvalidInputError("speech_pitch_unfit", pitch=self.pitch, lowest=LOWEST, highest=HIGHEST)

    @classmethod
    def from_json(cls, spec: dict[str, Any]) -> "SynthesisSpec":
        """From `jobs.spec` of a synthesis."""
        pitch = spec.get("pitch")
        return cls(
            text=str(spec["text"]),
            language=str(spec.get("language") or ""),
            voice_name=str(spec.get("voice_name") or spec.get("voice") or ""),
            format=SpeechFormat(spec.get("format", "mp3")),
            speed=float(spec.get("speed", 1.0)),
            pitch=1.0 if pitch is None else float(pitch),
            verbalise=bool(spec.get("verbalise", True)),
        )
