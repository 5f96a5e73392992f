"""Encodes speech as it is made: blocks of samples go in, bytes of a playable stream come out. For children alone.

The bytes together are a stream that plays though nobody knows its length yet; `finish_file` writes the length into
the header of the whole file where the format has a place for it (wav, flac).
"""

import hashlib
import struct
from pathlib import Path
from typing import Protocol, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from simorgh_shared.audio.formats import PCM_SAMPLE_RATE, SpeechFormat

Samples = NDArray[np.float32]

_UNKNOWN_BYTES = 0xFFFF_FFFF
"""In place of a length in a stream's header: what players take for `until it ends`."""
_WAV_HEADER_BYTES = 44
_FLAC_STREAMINFO_AT = 8  # after `fLaC` and the block's own header
_BLOCK_SAMPLES = 1 << 16
_RATES = {
    SpeechFormat.MP3: (24_000, 44_100, 48_000),  # a frame of 16,000 Hz lasts so long that a word grows by a tenth
    SpeechFormat.AAC: (24_000, 44_100, 48_000),
    SpeechFormat.OPUS: (48_000,),  # what every decoder gives back, whatever went in
    SpeechFormat.PCM: (PCM_SAMPLE_RATE,),
}
"""Where a rate is not among them the samples are resampled to the next one above."""
_MUXERS = {
    SpeechFormat.MP3: ("mp3", "libmp3lame", 96_000, {"write_xing": "0", "id3v2_version": "0"}),
    SpeechFormat.AAC: ("adts", "aac", 96_000, {}),
    SpeechFormat.OPUS: ("ogg", "libopus", 48_000, {"page_duration": "200000"}),
    SpeechFormat.FLAC: ("flac", "flac", None, {"metadata_header_padding": "0"}),
}
"""Container, codec, bits a second, options. MP3 at a constant rate needs no table of contents to tell its length; Ogg
pages of 0.2 s leave sooner than those of a second."""
_SAME_BYTES = {"fflags": "+bitexact"}
"""Without it an Ogg stream gets a number by chance, and parts of two attempts would not be one stream."""


class StreamEncoder:
    """Turns mono samples between -1 and 1 into the bytes of one stream."""

    def __init__(self, format: SpeechFormat, sample_rate: int) -> None:
        self.format = format
        rates = _RATES.get(format)
        self.sample_rate = sample_rate if rates is None else _fitting(sample_rate, rates)
        """Of what comes out."""
        self.num_bytes = 0
        self._given_rate = sample_rate
        self._num_samples = 0
        self._is_closed = False
        self._sound: _Sound
        if format is SpeechFormat.WAV:
            self._sound = _Pcm(_wav_header(self.sample_rate, None))
        elif format is SpeechFormat.PCM:
            self._sound = _Pcm(b"")
        else:
            self._sound = _Compressed(format, self.sample_rate)
        self._resampler = None
        if self.sample_rate != sample_rate:
            self._resampler = AudioResampler(format="flt", layout="mono", rate=self.sample_rate)

    @property
    def duration_s(self) -> float:
        """Of what went in."""
        return self._num_samples / self._given_rate

    def write(self, samples: Samples) -> bytes:
        """The bytes that are ready once these samples are in; there may be none yet."""
        assert not self._is_closed
        out = bytearray()
        for start in range(0, len(samples), _BLOCK_SAMPLES):
            block = np.ascontiguousarray(samples[start : start + _BLOCK_SAMPLES], dtype=np.float32)
            at, self._num_samples = self._num_samples, self._num_samples + len(block)
            for ready in self._resampled(block, at):
                out += self._sound.add(ready)
        self.num_bytes += len(out)
        return bytes(out)

    def close(self) -> bytes:
        """The last bytes of the stream."""
        if self._is_closed:
            return b""
        out = bytearray()
        if self._resampler is not None and self._num_samples:
            for frame in self._resampler.resample(None):
                out += self._sound.add(_samples_of(frame))
        out += self._sound.end()
        self._is_closed = True
        self.num_bytes += len(out)
        return bytes(out)

    def finish_file(self, path: Path) -> None:
        """Write the length into the header of the file that holds the whole closed stream."""
        assert self._is_closed
        with path.open("r+b") as file:
            for offset, header in self._sound.patches(self.num_bytes, self.sample_rate):
                file.seek(offset)
                file.write(header)

    def _resampled(self, block: Samples, at: int) -> list[Samples]:
        if self._resampler is None:
            return [block]
        return [_samples_of(frame) for frame in self._resampler.resample(_frame(block, self._given_rate, at))]


class _Sound(Protocol):
    """What a format does with samples of its own rate."""

    def add(self, samples: Samples) -> bytes: ...

    def end(self) -> bytes: ...

    def patches(self, num_bytes: int, sample_rate: int) -> list[tuple[int, bytes]]: ...


class _Pcm:
    """Samples of 16 bits, behind a header or none."""

    def __init__(self, header: bytes) -> None:
        self._header = header
        self._waiting = header

    def add(self, samples: Samples) -> bytes:
        begin, self._waiting = self._waiting, b""
        return begin + _sixteen_bits(samples).tobytes()

    def end(self) -> bytes:
        begin, self._waiting = self._waiting, b""
        return begin

    def patches(self, num_bytes: int, sample_rate: int) -> list[tuple[int, bytes]]:
        return [(0, _wav_header(sample_rate, num_bytes - _WAV_HEADER_BYTES))] if self._header else []


class _Compressed:
    """What FFmpeg encodes, into a container that never seeks."""

    def __init__(self, format: SpeechFormat, sample_rate: int) -> None:
        container, codec, bit_rate, options = _MUXERS[format]
        self._is_flac = format is SpeechFormat.FLAC
        self._written = _Written()
        self._container = av.open(self._written, "w", format=container, options=_SAME_BYTES | options)
        self._stream = cast(AudioStream, self._container.add_stream(codec, rate=sample_rate, layout="mono"))
        self._context: AudioCodecContext = self._stream.codec_context
        self._context.thread_count = 1
        if bit_rate is not None:
            self._context.bit_rate = bit_rate
        if self._is_flac:
            self._context.format = "s16"
        self._sample_rate = sample_rate
        self._num_samples = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def add(self, samples: Samples) -> bytes:
        if not len(samples):
            return self._written.take()
        if self._is_flac:
            whole = _sixteen_bits(samples)
            self._md5.update(whole.tobytes())
            frame = av.AudioFrame.from_ndarray(whole[np.newaxis, :], format="s16", layout="mono")
            frame.sample_rate = self._sample_rate
            frame.pts = self._num_samples
        else:
            frame = _frame(samples, self._sample_rate, self._num_samples)
        self._num_samples += len(samples)
        self._container.mux(self._stream.encode(frame))
        return self._written.take()

    def end(self) -> bytes:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._written.take()

    def patches(self, num_bytes: int, sample_rate: int) -> list[tuple[int, bytes]]:
        """FLAC's header tells the number of samples (36 bits) and their MD5; the others tell no length."""
        del num_bytes
        if not self._is_flac:
            return []
        # rate: 20 bits, channels - 1: 3 bits, bits a sample - 1: 5 bits, samples: 36 bits (RFC 9639, 8.2)
        packed = sample_rate << 44 | 0 << 41 | 15 << 36 | self._num_samples
        return [(_FLAC_STREAMINFO_AT + 10, packed.to_bytes(8, "big") + self._md5.digest())]


class _Written:
    """A file that only grows: the container sees no way to seek in it."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken, self._bytes = bytes(self._bytes), bytearray()
        return taken


def _fitting(sample_rate: int, rates: tuple[int, ...]) -> int:
    return next((rate for rate in rates if rate >= sample_rate), rates[-1])


def _sixteen_bits(samples: Samples) -> NDArray[np.int16]:
    return cast(NDArray[np.int16], np.rint(np.clip(samples, -1.0, 1.0) * 32_767.0).astype("<i2"))


def _frame(samples: Samples, sample_rate: int, at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="flt", layout="mono")
    frame.sample_rate = sample_rate
    frame.pts = at
    return frame


def _samples_of(frame: av.AudioFrame) -> Samples:
    return cast(Samples, frame.to_ndarray().reshape(-1))


def _wav_header(sample_rate: int, num_data_bytes: int | None) -> bytes:
    """Mono, 16 bits; a stream tells no length."""
    size = _UNKNOWN_BYTES if num_data_bytes is None else num_data_bytes
    riff = _UNKNOWN_BYTES if num_data_bytes is None else num_data_bytes + _WAV_HEADER_BYTES - 8
    kind = struct.pack("<IHHIIHH", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + kind + b"data" + struct.pack("<I", size)
