"""Sound for tests: tones, and files of them as recorders and encoders write them."""

import io
import math
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np

Sound = np.ndarray[Any, np.dtype[np.float32]]


def tone(seconds: float, rate: int = 16_000, *, channels: int = 1, pitch_hz: float = 440.0) -> Sound:
    """A sine at half of the full scale, alike on all channels: (channels, samples)."""
    times = np.arange(round(seconds * rate), dtype=np.float64) / rate
    wave = (0.5 * np.sin(2 * math.pi * pitch_hz * times)).astype(np.float32)
    return np.tile(wave, (channels, 1))


def wav(
    data: bytes,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    codec: int = 1,
    claimed_bytes: int | None = None,
) -> bytes:
    """A RIFF file with any header, true or not."""
    claimed = len(data) if claimed_bytes is None else claimed_bytes
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", codec, channels & 0xFFFF, rate, (rate * block) & 0xFFFF_FFFF, block & 0xFFFF, bits)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", claimed & 0xFFFF_FFFF)
    return b"RIFF" + struct.pack("<I", (len(head) + claimed) & 0xFFFF_FFFF) + head + data


def pcm16(sound: Sound) -> bytes:
    """Samples of all channels in turn, 16 bits each."""
    return (sound.T * 32_767).astype("<i2").tobytes()


def encoded(
    sound: Sound,
    rate: int,
    container: str,
    codec: str,
    *,
    options: dict[str, str] | None = None,
    with_picture: bool = False,
    num_streams: int = 1,
    is_seekable: bool = True,
) -> bytes:
    """Sound in a container, by PyAV; where the output cannot be rewound, as a recorder that streams writes it."""
    output = io.BytesIO() if is_seekable else _Unseekable()
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(sound)]
    with av.open(output, "w", format=container, options=options or {}) as file:
        video = _add_video(file) if with_picture else None
        streams = [file.add_stream(codec, rate=rate, layout=layout) for _ in range(num_streams)]
        if video is not None:
            for number in range(10):
                picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 20, np.uint8), format="rgb24")
                picture.pts = number
                file.mux(video.encode(picture))
            file.mux(video.encode(None))
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout=layout)
            frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
            file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    return output.getvalue()


def video_alone() -> bytes:
    """A film without sound."""
    output = io.BytesIO()
    with av.open(output, "w", format="mp4") as file:
        video = _add_video(file)
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number * 20, np.uint8), format="rgb24")
            picture.pts = number
            file.mux(video.encode(picture))
        file.mux(video.encode(None))
    return output.getvalue()


def browser_webm(seconds: float) -> bytes:
    """What MediaRecorder of Chromium and Firefox makes: opus in webm, no duration, clusters of unknown size."""
    return encoded(tone(seconds, 48_000), 48_000, "webm", "libopus", options={"live": "1"}, is_seekable=False)


def safari_mp4(seconds: float) -> bytes:
    """What MediaRecorder of Safari makes: aac in fragmented mp4."""
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    return encoded(tone(seconds, 48_000), 48_000, "mp4", "aac", options=flags, is_seekable=False)


def _add_video(file: Any) -> Any:
    video = file.add_stream("mpeg4", rate=10)
    video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
    return video


class _Unseekable(io.BytesIO):
    """An output that goes one way, as to a network."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise io.UnsupportedOperation("seek")
