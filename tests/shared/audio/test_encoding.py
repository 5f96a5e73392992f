"""Speech is encoded as it is made, and what comes out plays (R-VOICE-2)."""

import io
import struct
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer
from numpy.typing import NDArray

from simorgh_shared.audio.encoding import StreamEncoder
from simorgh_shared.audio.formats import PCM_SAMPLE_RATE, SpeechFormat

FORMATS = list(SpeechFormat)
RATES = (16_000, 22_050, 24_000)  # of MMS, of eSpeak, of the headerless samples
BLOCKS = (1, 7, 1_000, 4_801)


def tone(seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """A tone of 440 Hz that begins and ends softly."""
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    edges = np.clip(np.minimum(times, seconds - times) / 0.02, 0, 1)
    return (0.5 * edges * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def encoded(format: SpeechFormat, sample_rate: int, samples: NDArray[np.float32], block: int = 4_801) -> list[bytes]:
    """What leaves for each block, and at the end."""
    encoder = StreamEncoder(format, sample_rate)
    parts = [encoder.write(samples[start : start + block]) for start in range(0, len(samples), block)]
    return [*parts, encoder.close()]


def decoded(sound: bytes | Path, format: SpeechFormat) -> tuple[NDArray[np.float32], int]:
    """What a player hears, and at which rate."""
    source = io.BytesIO(sound) if isinstance(sound, bytes) else str(sound)
    headerless = {"sample_rate": str(PCM_SAMPLE_RATE), "ch_layout": "mono"}
    is_pcm = format is SpeechFormat.PCM
    with av.open(source, format="s16le" if is_pcm else None, options=headerless if is_pcm else {}) as container:
        assert isinstance(container, InputContainer)
        resampler = av.AudioResampler(format="flt", layout="mono")
        blocks = [
            ready.to_ndarray().reshape(-1) for frame in container.decode(audio=0) for ready in resampler.resample(frame)
        ]
        return np.concatenate(blocks), container.streams.audio[0].rate


class TestStreamEncoder:
    @pytest.mark.parametrize("sample_rate", RATES)
    @pytest.mark.parametrize("format", FORMATS)
    def test_the_stream_plays_at_its_length(self, format: SpeechFormat, sample_rate: int) -> None:
        """R-VOICE-2: each format decodes to the right length, ±5 %, and it is the same tone."""
        heard, rate = decoded(b"".join(encoded(format, sample_rate, tone(2.0, sample_rate))), format)
        assert len(heard) / rate == pytest.approx(2.0, rel=0.05)
        strongest = np.argmax(np.abs(np.fft.rfft(heard))) * rate / len(heard)
        assert strongest == pytest.approx(440, abs=2)
        assert 0.4 < np.abs(heard).max() < 0.6

    @pytest.mark.parametrize("format", FORMATS)
    def test_it_neither_clicks_at_its_start_nor_at_its_end(self, format: SpeechFormat) -> None:
        """R-VOICE-2: the edges are as soft as they were, and no sample stands out between two others."""
        heard, rate = decoded(b"".join(encoded(format, 22_050, tone(1.0, 22_050))), format)
        edge = rate // 500  # 2 ms
        assert np.abs(heard[:edge]).max() < 0.06
        assert np.abs(heard[-edge:]).max() < 0.06
        steepest = 0.5 * 2 * np.pi * 440 / rate  # of the tone itself
        assert np.abs(np.diff(heard)).max() < 1.5 * steepest

    @pytest.mark.parametrize("format", FORMATS)
    def test_blocks_of_any_size_make_the_same_stream(self, format: SpeechFormat) -> None:
        """R-VOICE-2: how the samples come does not show."""
        samples = tone(0.3, 22_050)
        heard = [decoded(b"".join(encoded(format, 22_050, samples, block)), format)[0] for block in BLOCKS]
        for other in heard[1:]:
            assert len(other) == len(heard[0])
            assert np.abs(other - heard[0]).max() < 1e-3

    @pytest.mark.parametrize("format", FORMATS)
    def test_bytes_leave_while_speech_is_made(self, format: SpeechFormat) -> None:
        """R-VOICE-2: what has left after 2 s of speech plays for most of them."""
        encoder = StreamEncoder(format, 22_050)
        sent = encoder.write(tone(2.0, 22_050))
        heard, rate = decoded(sent, format)
        assert len(heard) / rate > 1.5

    @pytest.mark.parametrize("format", FORMATS)
    def test_the_file_is_the_stream_with_a_right_header(self, format: SpeechFormat, tmp_path: Path) -> None:
        """R-VOICE-2: the streamed bytes equal a playable file; only its length is written in afterwards."""
        encoder = StreamEncoder(format, 22_050)
        stream = encoder.write(tone(1.0, 22_050)) + encoder.close()
        path = tmp_path / f"speech{format.suffix}"
        path.write_bytes(stream)
        encoder.finish_file(path)
        file = path.read_bytes()
        assert len(file) == len(stream) == encoder.num_bytes
        assert file[44:] == stream[44:]
        assert encoder.duration_s == pytest.approx(1.0)
        assert np.array_equal(decoded(path, format)[0], decoded(stream, format)[0])

    def test_a_finished_wav_is_read_by_any_reader(self, tmp_path: Path) -> None:
        """R-VOICE-2: the header tells the samples that are there."""
        encoder = StreamEncoder(SpeechFormat.WAV, 16_000)
        path = tmp_path / "speech.wav"
        path.write_bytes(encoder.write(tone(0.5, 16_000)) + encoder.close())
        assert struct.unpack("<I", path.read_bytes()[40:44]) == (0xFFFF_FFFF,)
        encoder.finish_file(path)
        with wave.open(str(path)) as read:
            assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (1, 16_000, 8_000)

    def test_a_finished_flac_tells_its_length_and_checksum(self, tmp_path: Path) -> None:
        """R-VOICE-2: a player shows how long it is before it has played it."""
        encoder = StreamEncoder(SpeechFormat.FLAC, 22_050)
        path = tmp_path / "speech.flac"
        path.write_bytes(encoder.write(tone(0.5, 22_050)) + encoder.close())
        encoder.finish_file(path)
        assert path.read_bytes()[26:42] != bytes(16)
        with av.open(str(path)) as container:
            assert container.duration == 500_000

    @pytest.mark.parametrize("format", FORMATS)
    def test_nothing_makes_no_sound(self, format: SpeechFormat, tmp_path: Path) -> None:
        """R-VOICE-2: no samples are no error; what has a header keeps it."""
        encoder = StreamEncoder(format, 22_050)
        stream = encoder.write(np.zeros(0, np.float32)) + encoder.close()
        assert encoder.close() == b""
        path = tmp_path / "speech"
        path.write_bytes(stream)
        encoder.finish_file(path)
        assert len(stream) <= 100

    def test_what_is_too_loud_is_cut_and_does_not_wrap(self) -> None:
        """R-VOICE-2: a sample beyond 1 stays at the edge."""
        heard, _ = decoded(b"".join(encoded(SpeechFormat.WAV, 16_000, np.full(100, 1.7, np.float32))), SpeechFormat.WAV)
        assert heard.min() > 0.99


class TestFormats:
    def test_each_has_a_media_type_and_a_suffix(self) -> None:
        """R-VOICE-2: what the gateway tells of them."""
        assert {format.media_type for format in FORMATS} == {
            "audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm",
        }  # fmt: skip
        assert {format.suffix for format in FORMATS} == {".mp3", ".ogg", ".aac", ".flac", ".wav", ".pcm"}
