"""Transcriptions as a whole: with a model of random weights for how it goes, with a real one for what is heard."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest

from simorgh_shared.audio.decoding import Decoder
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError
from simorgh_shared.speech.transcript import join_texts, segments_of
from simorgh_voice.engine.transcription import (
    Cancelled,
    Moved,
    Resume,
    Transcriber,
    TranscriptionSpec,
    cublas,
    load,
    transcribe,
)
from tests.support.sound import browser_webm
from tests.support.voice import RATE, REAL_WHISPER, repeated, spoken, whisper_folder, written

_TEXT = (
    "The morning train left the station late, and nobody knew why. Two children were waiting with their grandfather."
)
_EVERYTHING = {"words": True, "temperature": [0.0, 0.2, 0.4]}


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    decoder.start()
    yield decoder
    decoder.close()


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny(tiny_folder: Path) -> Transcriber:
    return load(tiny_folder, device="cpu", threads=1)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four and a half minutes: three groups."""
    return written(tmp_path_factory.mktemp("talk") / "talk.flac", repeated(spoken(_TEXT), 270))


def _run(
    transcriber: Transcriber, decoder: Decoder, path: Path, resume: Resume | None = None, **spec: Any
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    lane = spec.pop("lane", "long")
    asked = TranscriptionSpec.from_json({"file_id": "x", **spec})
    result = transcribe(
        transcriber, path, asked, resume, decoder=decoder, lane=lane, say=lines.append, is_cancelled=lambda: False
    )
    return result, lines


def _groups(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "transcribed"]


@pytest.fixture(scope="module")
def whole(tiny: Transcriber, decoder: Decoder, talk: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The talk, transcribed without interruption."""
    return _run(tiny, decoder, talk, **_EVERYTHING)


def test_without_cublas_the_processor_hears(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without the library that CTranslate2 asks for would fail every job in its first product."""
    monkeypatch.setattr(cublas, "_NAME", "libcublas-of-no-release.so")
    assert not cublas.has_cublas()
    assert load(tiny_folder, device="cuda", threads=1)._model.device == "cpu"


class TestResume:
    """Going on where an attempt before has come."""

    def test_the_rest_is_the_same_from_each_group(
        self, tiny: Transcriber, decoder: Decoder, talk: Path, whole: tuple[dict[str, Any], list[dict[str, Any]]]
    ) -> None:
        """R-VOICE-4: a resumed transcription equals the uninterrupted one in everything."""
        result, lines = whole
        groups = _groups(lines)
        assert [group["number"] for group in groups] == list(range(len(groups)))
        assert len(groups) >= 3
        for number, last in enumerate(groups[:-1], start=1):
            resume = Resume(
                last["next_offset_samples"], number, last["language"], last["language_probability"], last["speech_s"]
            )
            again, rest = _run(tiny, decoder, talk, resume, **_EVERYTHING)
            assert _groups(rest) == groups[number:]
            assert again == result

    def test_progress_reaches_the_end(self, whole: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
        """R-VOICE-4: progress grows to the length of the file."""
        result, lines = whole
        told = [line for line in lines if line["type"] == "progress"]
        assert result["duration_s"] == pytest.approx(270, abs=0.1)
        assert told[-1]["audio_s"] == told[-1]["total_s"] == result["duration_s"]
        assert all(a["audio_s"] < b["audio_s"] for a, b in itertools.pairwise(told))

    def test_times_grow_over_all_groups(self, whole: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
        """R-VOICE-1: segments and words of noise have times in order, too."""
        segments = segments_of(_groups(whole[1]))
        assert segments
        assert all(segment.start < segment.end for segment in segments)
        assert all(a.end <= b.start for a, b in itertools.pairwise(segments))
        for segment in segments:
            assert segment.words
            assert all(segment.start <= word.start <= word.end <= segment.end for word in segment.words)

    def test_windows_without_voice_activity(self, tiny: Transcriber, decoder: Decoder, tmp_path: Path) -> None:
        """R-VOICE-1: without the search for speech, silence is heard too."""
        path = written(tmp_path / "silence", np.zeros((1, 20 * RATE), np.float32))
        result, lines = _run(tiny, decoder, path, vad=False, language="fa")
        assert result["speech_s"] == 20.0
        assert len(_groups(lines)) == 1


class TestEndings:
    """Ends without a transcript."""

    def test_silence_is_an_empty_text(self, tiny: Transcriber, decoder: Decoder, tmp_path: Path) -> None:
        """R-VOICE-7: silence is a result with nothing in it."""
        path = written(tmp_path / "silence", np.zeros((1, 5 * RATE), np.float32))
        result, lines = _run(tiny, decoder, path, lane="short")
        assert _groups(lines) == []
        assert (result["language"], result["duration_s"], result["speech_s"]) == (None, 5.0, 0.0)

    def test_a_long_file_leaves_the_short_lane(self, tiny: Transcriber, decoder: Decoder, talk: Path) -> None:
        """R-VOICE-4: more than 30 s become a job of the other lane, before anything is transcribed."""
        with pytest.raises(Moved) as moved:
            _run(tiny, decoder, talk, lane="short")
        assert moved.value.duration_s == pytest.approx(270, abs=0.1)

    def test_a_file_over_the_limit_is_refused_at_once(
        self, tiny: Transcriber, decoder: Decoder, talk: Path, tmp_path: Path
    ) -> None:
        """R-VOICE-7: the limit holds for headers that tell the length and for recordings that do not."""
        recording = tmp_path / "recording"
        recording.write_bytes(browser_webm(8))
        for path, limit_s in ((talk, 200.0), (recording, 5.0)):
            with pytest.raises(TooLargeError):
                _run(tiny, decoder, path, max_audio_s=limit_s)

    def test_a_cancelled_one_ends(self, tiny: Transcriber, decoder: Decoder, talk: Path) -> None:
        """R-VOICE-4: cancelling is seen at the next step."""
        lines: list[dict[str, Any]] = []
        with pytest.raises(Cancelled):
            transcribe(
                tiny,
                talk,
                TranscriptionSpec(),
                None,
                decoder=decoder,
                lane="long",
                say=lines.append,
                is_cancelled=lambda: bool(_groups(lines)),
            )
        assert len(_groups(lines)) == 1

    def test_an_unknown_language_is_refused(self, tiny: Transcriber, decoder: Decoder, talk: Path) -> None:
        """R-VOICE-1: a language the model has no token for."""
        with pytest.raises(InvalidInputError, match="does not know the language tlh"):
            _run(tiny, decoder, talk, language="tlh")

    def test_a_folder_that_is_no_model_is_refused(self, tmp_path: Path) -> None:
        """R-VOICE-6: a broken model is the user's news, no crash."""
        (tmp_path / "model.bin").write_bytes(b"no model")
        with pytest.raises(InvalidInputError, match="cannot transcribe"):
            load(tmp_path, device="cpu", threads=1)


_ENGLISH = (
    "The morning train left the station a few minutes late. Outside, the fields were covered with snow. "
    "At the next station two children came in with their grandfather. The woman closed her book and looked at the sky."
)
_PERSIAN = (
    "امروز هوا بسیار سرد است و برف می‌بارد. بچه‌ها در حیاط مدرسه بازی می‌کنند. مادر برای شام غذای گرم درست کرده است."
)


@pytest.fixture(scope="module")
def base() -> Transcriber:
    ctranslate2.set_random_seed(7)  # what is heard again is drawn; its threads take the seed when they begin
    return load(Path(os.environ["SIMORGH_TEST_WHISPER"]), device="cpu", threads=2)


@pytest.mark.skipif(
    not REAL_WHISPER, reason="SIMORGH_TEST_WHISPER names no folder with a Whisper of CTranslate2's format"
)
class TestBaseWhisper:
    """What a real model hears of eSpeak."""

    def test_batches_side_by_side_hear_the_same(self, base: Transcriber, decoder: Decoder, tmp_path: Path) -> None:
        """R-VOICE-1: on a machine with more cores a resumed job finds the same text."""
        path = written(tmp_path / "long", repeated(spoken(_ENGLISH), 90))
        by_batches = load(Path(os.environ["SIMORGH_TEST_WHISPER"]), device="cpu", threads=3, by_batches=True)
        assert _run(by_batches, decoder, path, **_EVERYTHING) == _run(base, decoder, path, **_EVERYTHING)

    def test_english(self, base: Transcriber, decoder: Decoder, tmp_path: Path) -> None:
        """R-VOICE-1: word error rate of at most 0.10, language heard."""
        path = written(tmp_path / "english", spoken(_ENGLISH))
        result, lines = _run(base, decoder, path)
        heard = join_texts((segment.text for segment in segments_of(_groups(lines))), "en")
        assert result["language"] == "en"
        assert _error_rate(_plain(_ENGLISH).split(), _plain(heard).split()) <= 0.10

    def test_persian(self, base: Transcriber, decoder: Decoder, tmp_path: Path) -> None:
        """R-VOICE-1: character error rate of at most 0.6; base does no better with this voice."""
        path = written(tmp_path / "persian", spoken(_PERSIAN, "fa"))
        _, lines = _run(base, decoder, path, language="fa", temperature=[0.0, 0.2, 0.4])
        heard = join_texts((segment.text for segment in segments_of(_groups(lines))), "fa")
        assert _error_rate(list(_plain(_PERSIAN)), list(_plain(heard))) <= 0.6

    def test_words_have_the_times_of_the_sound(self, base: Transcriber, decoder: Decoder, tmp_path: Path) -> None:
        """R-VOICE-1: what is said behind ten seconds of silence begins there."""
        said = spoken("The woman closed her book and looked at the sky.")
        silence = np.zeros((1, 10 * RATE), np.float32)
        path = written(tmp_path / "late", np.concatenate([silence, said, silence, said], axis=1))
        _, lines = _run(base, decoder, path, language="en", words=True)
        words = [word for segment in segments_of(_groups(lines)) for word in segment.words or ()]
        firsts = [word.start for word in words if word.word == "The"]
        assert firsts == pytest.approx([10.0, 20.0 + said.shape[1] / RATE], abs=0.5)

    def test_a_stretch_that_was_left_out_is_heard_alone(
        self, base: Transcriber, decoder: Decoder, tmp_path: Path
    ) -> None:
        """R-VOICE-1: base hears a short sentence once where it was said twice, four seconds apart."""
        said = spoken("The train is late.")
        silence = np.zeros((1, 4 * RATE), np.float32)
        path = written(tmp_path / "twice", np.concatenate([silence, said, silence, said], axis=1))
        _, lines = _run(base, decoder, path, language="en")
        segments = segments_of(_groups(lines))
        assert [segment.start for segment in segments] == pytest.approx([4, 8.9], abs=0.6)


def _plain(text: str) -> str:
    return "".join(sign for sign in text.lower().replace("\u200c", " ") if sign.isalnum() or sign == " ")


def _error_rate(expected: list[str], found: list[str]) -> float:
    """Edits by the number of expected items, by the matrix of Wagner and Fischer."""
    row = list(range(len(found) + 1))
    for number, wanted in enumerate(expected, start=1):
        before, row[0] = row[0], number
        for place, got in enumerate(found, start=1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (wanted != got))
    return row[-1] / len(expected)
