"""Sound out of any file as 16 kHz mono float32, block by block. Run it in a limited process: the files are strangers'.

Containers that name other files or addresses are not opened, and nothing but the given descriptor is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from simorgh_shared.domain.errors import InvalidInputError, UnsupportedError

SAMPLE_RATE = 16_000
Samples = np.ndarray[Any, np.dtype[np.float32]]

_DEMUXERS = ("wav", "mp3", "flac", "ogg", "matroska", "mov", "aac")
_CODECS = frozenset(
    {"aac", "alac", "flac", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "opus", "vorbis"}
    | {"adpcm_ima_wav", "adpcm_ms", "pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8"}
    | {f"pcm_{kind}{bits}{order}" for kind in "sf" for bits in (16, 24, 32, 64) for order in ("le", "be")}
)
_OPTIONS = {
    "format_whitelist": ",".join(_DEMUXERS),
    "codec_whitelist": ",".join(sorted(_CODECS)),
    "protocol_whitelist": "",
}
_READ_BYTES = 64 << 10
_PROBED_BYTES = {b"RIFF": 64 << 10, b"RF64": 64 << 10}
"""How far a file is read before its first sample: what is read of wav is decoded on the way, 25 ms of a short clip."""
_PROBED_BYTES_ELSE = 1 << 20
_BLOCK_SAMPLES = SAMPLE_RATE  # a second
_RATES_HZ = (2_000, 768_000)  # beyond them a header lies, and the resampler's filter would not fit in memory
_ERRORS_TAKEN = 20  # damaged packets that are passed over, beyond as many as could be decoded
_MAGIC = (
    (0, b"RIFF"),
    (0, b"RF64"),
    (0, b"ID3"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"\x1a\x45\xdf\xa3"),
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
)
"""Where a file of sound says that it is one: what begins so and cannot be read is damaged, the rest is foreign."""


@dataclass(frozen=True)
class SoundSource:
    """What a file says of itself. The duration is a claim: only decoding tells."""

    format: str
    codec: str
    sample_rate: int
    channels: int
    claimed_s: float | None


class SoundFile:
    """One file of sound that is open for decoding from its start."""

    def __init__(self, file: BinaryIO) -> None:
        """Raises: UnsupportedError (audio_not_audio), InvalidInputError (audio_unreadable, audio_empty)."""
        start = file.read(12)
        file.seek(0)
        if not start:
            raise InvalidInputError("audio_empty")
        try:
            options = _OPTIONS | {"probesize": str(_PROBED_BYTES.get(start[:4], _PROBED_BYTES_ELSE))}
            container = av.open(file, buffer_size=_READ_BYTES, options=options, io_open=_refuse_to_open)
        except (av.FFmpegError, ValueError, MemoryError, UnicodeError) as error:
            if not _looks_like_sound(start):
                raise UnsupportedError("audio_not_audio") from error
            raise InvalidInputError("audio_unreadable", reason=_reason(error)) from error
        assert isinstance(container, InputContainer)
        self._container = container
        self._stream = _choose_stream(container)
        self.source = _describe(container, self._stream)

    def blocks(self) -> Iterator[Samples]:
        """The sound in blocks of about a second; damaged packets are passed over while most can be decoded.

        Raises: InvalidInputError (audio_unreadable, audio_empty).
        """
        num_samples = 0
        held: list[Samples] = []
        num_held = 0
        for piece in self._pieces():
            num_samples += len(piece)
            held.append(piece)
            num_held += len(piece)
            if num_held >= _BLOCK_SAMPLES:
                yield _cleaned(held)
                held, num_held = [], 0
        if num_held:
            yield _cleaned(held)
        if not num_samples:
            raise InvalidInputError("audio_empty")

    def _pieces(self) -> Iterator[Samples]:
        mono = _Mono()
        num_decoded = num_damaged = 0
        for frame in self._frames():
            if isinstance(frame, AudioFrame):
                num_decoded += 1
                yield from mono.take(frame)
                continue
            num_damaged += 1
            if num_damaged > num_decoded + _ERRORS_TAKEN:
                raise InvalidInputError("audio_unreadable", reason=_reason(frame))
        if num_damaged >= max(num_decoded, 1):
            raise InvalidInputError("audio_unreadable", reason="most of it is damaged")
        yield from mono.flush()

    def _frames(self) -> Iterator[AudioFrame | Exception]:
        """Frames, and the error of each packet that could not be decoded; a broken container ends them."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, EOFError):
                return
            except (av.FFmpegError, ValueError) as error:
                yield error
                return
            try:
                yield from packet.decode()
            except EOFError:
                return
            except (av.FFmpegError, ValueError) as error:
                yield error


class _Mono:
    """Frames of any format, rate and number of channels as 16 kHz mono; they may change on the way."""

    def __init__(self) -> None:
        self._shape: tuple[str, str, int] | None = None
        self._to_float = AudioResampler(format="flt")  # not planar: PyAV 18.1 crashes on more than 7 planes
        self._to_rate = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)

    def take(self, frame: AudioFrame) -> Iterator[Samples]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            yield from self.flush()
            _check_rate(frame.sample_rate)
            self._shape = shape
            self._to_float = AudioResampler(format="flt")
            self._to_rate = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        frame.pts = None  # times are counted in samples: what a container says of them may lie
        for plain in self._to_float.resample(frame):
            yield from self._resampled(_mixed(plain))

    def flush(self) -> Iterator[Samples]:
        if self._shape is not None:
            for plain in self._to_float.resample(None):
                if plain is not None:
                    yield from self._resampled(_mixed(plain))
            yield from self._resampled(None)
            self._shape = None

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Samples]:
        for made in self._to_rate.resample(frame):
            if made is not None and made.samples:
                yield made.to_ndarray().reshape(-1).astype(np.float32, copy=False)


def _mixed(frame: AudioFrame) -> AudioFrame:
    """The mean of all channels: it cannot clip, and needs no knowledge of where the loudspeakers stand."""
    channels = frame.layout.nb_channels
    if channels == 1:
        return frame
    samples = frame.to_ndarray().reshape(-1, channels)
    mono = AudioFrame.from_ndarray(samples.mean(axis=1, dtype=np.float32).reshape(1, -1), format="flt", layout="mono")
    mono.sample_rate = frame.sample_rate
    return mono


def _cleaned(pieces: list[Samples]) -> Samples:
    """One block with numbers alone: files of floating point may hold anything."""
    block = np.concatenate(pieces)
    np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(block, -1.0, 1.0, out=block)
    return block


def _choose_stream(container: InputContainer) -> AudioStream:
    """The first stream of sound in a codec of the list."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.name in _CODECS:
            stream.codec_context.thread_count = 1
            return stream
    if container.streams.audio:
        raise UnsupportedError("audio_not_audio")
    raise InvalidInputError("audio_unreadable", reason="there is no sound in it")


def _describe(container: InputContainer, stream: AudioStream) -> SoundSource:
    context = stream.codec_context
    if context.sample_rate:
        _check_rate(context.sample_rate)
    claimed_s = container.duration / av.time_base if container.duration else None
    return SoundSource(
        container.format.name.split(",")[0],
        context.name,
        context.sample_rate,
        context.channels,
        claimed_s if claimed_s is not None and claimed_s > 0 else None,
    )


def _check_rate(rate_hz: int) -> None:
    if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1]:
        raise InvalidInputError("audio_unreadable", reason=f"it claims {rate_hz} samples a second")


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError(f"{url} is not opened")


def _looks_like_sound(start: bytes) -> bool:
    is_frame = len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0  # MPEG audio and ADTS
    return is_frame or any(start[at : at + len(mark)] == mark for at, mark in _MAGIC)


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it asks for too much memory"
    told = error.strerror if isinstance(error, OSError) and error.strerror else None
    return (told or "its data is damaged").lower()
