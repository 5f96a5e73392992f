"""A text is spoken sentence by sentence, and what leaves is a whole stream and a whole file (R-VOICE-2)."""

import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer

from simorgh_shared.audio.formats import PCM_SAMPLE_RATE, SpeechFormat
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_voice.engine.synthesis import Cancelled, SynthesisSpec, Voice, synthesize
from simorgh_voice.engine.synthesis.sentences import spoken_sentences
from simorgh_voice.engine.synthesis.voices import Samples, Utterance

TEXT = "سلام! امروز روز خوبی است. حال شما چطور است؟\nاین بند دوم است."
Line = dict[str, Any]


def never() -> bool:
    return False


def spec(text: str = TEXT, format: str = "wav", **more: Any) -> SynthesisSpec:
    return SynthesisSpec.from_json({"text": text, "language": "fa", "voice_name": "espeak:fa", "format": format} | more)


def speak(voice: Voice, asked: SynthesisSpec, folder: Path) -> tuple[list[Line], Line]:
    """The lines that were said, and the result."""
    said: list[Line] = []
    return said, synthesize(voice, asked, folder, say=said.append, is_cancelled=never)


def parts(said: list[Line]) -> list[Line]:
    return [line for line in said if line["type"] == "part"]


def heard(sound: bytes, format: str) -> tuple[Samples, int]:
    headerless = {"sample_rate": str(PCM_SAMPLE_RATE), "ch_layout": "mono"}
    is_pcm = format == "pcm"
    with av.open(io.BytesIO(sound), format="s16le" if is_pcm else None, options=headerless if is_pcm else {}) as file:
        assert isinstance(file, InputContainer)
        resampler = av.AudioResampler(format="flt", layout="mono")
        blocks = [out.to_ndarray()[0] for frame in file.decode(audio=0) for out in resampler.resample(frame)]
        return np.concatenate(blocks), file.streams.audio[0].rate


class _Toneless:
    """A voice whose sentences are full-scale tones: what is told of levels and joins is ours alone."""

    language, sample_rate, memory_bytes, has_pitch = "fa", 16_000, 0, False

    def __init__(self) -> None:
        self.num_asked = 0

    def speak(self, sentence: str, *, speed: float, pitch: float, is_cancelled: Callable[[], bool]) -> Utterance:
        del sentence, speed, pitch, is_cancelled
        self.num_asked += 1
        loudness = 0.02 if self.num_asked % 2 else 0.9
        times = np.arange(4_000) / self.sample_rate
        return Utterance((loudness * np.cos(2 * np.pi * 300 * times)).astype(np.float32))


class TestSynthesize:
    @pytest.mark.parametrize("format", list(SpeechFormat))
    def test_the_parts_are_the_stream_and_the_file_is_whole(
        self, persian: Voice, tmp_path: Path, format: SpeechFormat
    ) -> None:
        """R-VOICE-2: each format plays at its length, ±5 %, streamed or as a file."""
        said, result = speak(persian, spec(format=format), tmp_path)
        stream = b"".join((tmp_path / line["path"]).read_bytes() for line in parts(said))
        file = (tmp_path / result["path"]).read_bytes()
        for sound in (stream, file):
            samples, rate = heard(sound, format)
            assert len(samples) / rate == pytest.approx(result["duration_s"], rel=0.05)
        assert rate == result["sample_rate"]
        assert [line["number"] for line in parts(said)] == list(range(result["num_parts"]))
        assert sum(line["audio_s"] for line in parts(said)) == pytest.approx(result["duration_s"], abs=0.01)

    def test_the_first_part_leaves_after_the_first_sentence(self, persian: Voice, tmp_path: Path) -> None:
        """R-VOICE-2: what is told with it is that sentence, and nothing else has been spoken."""
        said: list[Line] = []

        def say(line: Line) -> None:
            said.append(line)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            synthesize(persian, spec(format="mp3"), tmp_path, say=say, is_cancelled=never)
        assert (said[0]["type"], said[0]["text"]) == ("part", "سلام!")
        samples, rate = heard((tmp_path / said[0]["path"]).read_bytes(), "mp3")
        assert 0.2 < len(samples) / rate < 1.0

    def test_progress_ends_at_the_whole(self, persian: Voice, tmp_path: Path) -> None:
        """R-VOICE-4: how far it is, and about how long it will be."""
        said, result = speak(persian, spec(), tmp_path)
        told = [line for line in said if line["type"] == "progress"]
        assert [line["audio_s"] for line in told] == sorted(line["audio_s"] for line in told)
        assert told[-1]["audio_s"] == result["duration_s"]

    def test_sentences_are_alike_in_loudness_and_join_softly(self, tmp_path: Path) -> None:
        """R-VOICE-2: even loudness, no clipping, no click."""
        speak(_Toneless(), spec(), tmp_path)
        samples, rate = heard((tmp_path / "speech.wav").read_bytes(), "wav")
        assert np.abs(samples).max() < 0.9
        steepest = 2 * np.pi * 300 / rate * np.abs(samples).max()
        assert np.abs(np.diff(samples)).max() < 1.3 * steepest
        loud = np.abs(samples) > 0.02
        edges = np.flatnonzero(np.diff(loud.astype(int)))
        blocks = [block for block in np.split(samples, edges) if len(block) > 2_000 and np.abs(block).max() > 0.05]
        levels = [float(np.sqrt(np.mean(block**2))) for block in blocks]
        assert not levels or max(levels) / min(levels) < 1.15

    def test_speed_and_pitch_reach_the_voice(self, persian: Voice, tmp_path: Path) -> None:
        """R-VOICE-2: twice as quick is half as long."""
        lengths = []
        for speed in (1.0, 2.0):
            folder = tmp_path / str(speed)
            folder.mkdir()
            lengths.append(speak(persian, spec(speed=speed, pitch=1.2), folder)[1]["duration_s"])
        assert lengths[0] / lengths[1] == pytest.approx(2, rel=0.1)

    def test_numbers_are_spoken_in_persian_words_unless_it_was_refused(self, persian: Voice, tmp_path: Path) -> None:
        """R-VOICE-3: the parts tell what was said."""
        for verbalise, text in ((True, "بیست و پنج نفر."), (False, "۲۵ نفر.")):
            folder = tmp_path / text[0]
            folder.mkdir()
            said, _ = speak(persian, spec("۲۵ نفر.", verbalise=verbalise), folder)
            assert parts(said)[0]["text"] == text

    def test_vits_makes_the_same_bytes_again(self, noise: Voice, tmp_path: Path) -> None:
        """R-VOICE-4: a second attempt goes on where the first was cut, in the same stream."""
        streams = []
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            said, _ = speak(noise, spec(format="opus"), folder)
            streams.append([(folder / line["path"]).read_bytes() for line in parts(said)])
        assert streams[0] == streams[1]

    def test_letters_that_are_left_out_are_told(self, noise: Voice, tmp_path: Path) -> None:
        """R-VOICE-2: nothing is dropped silently."""
        assert speak(noise, spec("سلام 世界 دنیا.", verbalise=False), tmp_path)[1]["left_out"] == ["世", "界"]

    def test_a_book_takes_the_memory_of_a_sentence(self, tmp_path: Path) -> None:
        """R-VOICE-4: 100,000 characters; what Python holds does not grow with them."""
        book = "این یک جملهٔ کوتاه است. " * 4_200
        tracemalloc.start()
        try:
            result = synthesize(
                _Toneless(), spec(book, verbalise=False), tmp_path, say=lambda line: None, is_cancelled=never
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert result["characters"] > 100_000
        assert result["duration_s"] > 2_000
        assert peak < 32 << 20  # the sound alone is 150 MB


class TestRefusals:
    @pytest.mark.parametrize("text", ["", "   \n", "...", "؟!"])
    def test_nothing_to_say(self, persian: Voice, tmp_path: Path, text: str) -> None:
        """R-VOICE-2: an answer, not an empty file."""
        with pytest.raises(InvalidInputError, match="nothing in the text") as refused:
            speak(persian, spec(text), tmp_path)
        assert refused.value.code == "speech_nothing_to_say"

    def test_nothing_that_this_voice_can_say(self, noise: Voice, tmp_path: Path) -> None:
        """R-VOICE-2: letters of another script."""
        with pytest.raises(InvalidInputError, match="nothing in the text"):
            speak(noise, spec("世界"), tmp_path)

    def test_a_pitch_that_the_voice_has_not(self, noise: Voice, tmp_path: Path) -> None:
        """R-VOICE-2: an option is never ignored."""
        with pytest.raises(InvalidInputError, match="has one pitch"):
            speak(noise, spec(pitch=1.5), tmp_path)

    @pytest.mark.parametrize("more", [{"speed": 0.2}, {"speed": 4.1}, {"pitch": 0.1}, {"speed": float("nan")}])
    def test_speeds_and_pitches_out_of_bounds(self, more: Line) -> None:
        """R-VOICE-2: the bounds are named."""
        with pytest.raises(InvalidInputError, match="Name one from"):
            spec(**more)

    def test_it_stops_when_it_is_cancelled(self, persian: Voice, tmp_path: Path) -> None:
        """R-VOICE-2: after a part, within a sentence."""
        said: list[Line] = []
        with pytest.raises(Cancelled):
            synthesize(persian, spec(), tmp_path, say=said.append, is_cancelled=lambda: len(parts(said)) >= 2)
        assert len(parts(said)) == 2


class TestSpokenSentences:
    def test_pauses_follow_the_marks(self) -> None:
        """R-VOICE-2: longer after a paragraph than after a sentence."""
        found = list(spoken_sentences(TEXT, "fa", True))
        assert [one.text for one in found] == ["سلام!", "امروز روز خوبی است.", "حال شما چطور است؟", "این بند دوم است."]
        assert [one.pause_s for one in found] == [0.35, 0.35, 0.6, 0.6]

    def test_long_sentences_are_cut(self) -> None:
        """R-VOICE-2: the first sound does not wait for a page, and nothing is lost."""
        text = "کتاب خوب، " * 200
        found = list(spoken_sentences(text, "fa", True))
        assert max(len(one.text) for one in found) <= 200
        assert "".join(one.text for one in found).count("کتاب") == 200

    def test_the_first_is_ready_before_the_rest_is_looked_at(self) -> None:
        """R-VOICE-2: a book's first sentence comes as soon as a note's."""
        sentences = spoken_sentences("سلام. " * 20_000, "fa", True)
        assert next(sentences).text == "سلام."

    def test_other_languages_keep_their_numbers(self) -> None:
        """R-VOICE-3: only Persian is written out."""
        assert [one.text for one in spoken_sentences("It is 25 now. Yes.", "en", True)] == ["It is 25 now.", "Yes."]
