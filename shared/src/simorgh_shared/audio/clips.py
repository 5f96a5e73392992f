"""What a clip of sound is: format, sample rate, channels, duration. Decoded only as far as that takes.

Run it in a child: the files are strangers'. Containers that name other files or addresses are not opened.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

FORMATS = {"wav": "wav", "flac": "flac", "mp3": "mp3", "ogg": "ogg", "aac": "aac", "mov": "m4a", "matroska": "webm"}
"""FFmpeg's first name of a container, and the suffix that its clips get."""
_OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": ""}
_LONGEST_S = 24 * 3_600


@dataclass(frozen=True)
class Clip:
    """What a clip is."""

    format: str
    sample_rate: int
    channels: int
    duration_s: float


def read_clip(path: Path) -> Clip:
    """What a file holds; its first samples have been decoded.

    Raises: ValueError with the reason where it is no clip.
    """
    with path.open("rb") as file:
        try:
            return _read(file)
        except (av.FFmpegError, StopIteration) as error:
            raise ValueError(_reason(error)) from error


def _read(file: BinaryIO) -> Clip:
    with av.open(file, options=_OPTIONS) as container:
        assert isinstance(container, InputContainer)
        if not container.streams.audio:
            raise ValueError("there is no sound in it")
        stream = container.streams.audio[0]
        first = next(container.decode(stream))
        duration_s = _told_duration_s(container, stream)
        if duration_s is None:
            samples = first.samples + sum(frame.samples for frame in container.decode(stream))
            duration_s = samples / first.sample_rate
        if not 0 < duration_s <= _LONGEST_S:
            raise ValueError(f"it lasts {duration_s:g} s")
        name = container.format.name.split(",")[0]
        return Clip(FORMATS[name], first.sample_rate, first.layout.nb_channels, round(duration_s, 3))


def _told_duration_s(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _reason(error: Exception) -> str:
    if isinstance(error, StopIteration | EOFError):
        return "it ends before its first sound"
    told = getattr(error, "strerror", None) or type(error).__name__
    return str(told).lower()
