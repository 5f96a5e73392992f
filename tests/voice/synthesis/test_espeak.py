"""eSpeak NG speaks every language of the table, at every speed, and can be stopped (R-VOICE-2)."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.speech.voices import ESPEAK_LANGUAGES, espeak_key, language_of_name, language_of_three_letters
from simorgh_voice.engine.synthesis import Cancelled, Voice, espeak
from simorgh_voice.engine.synthesis.voices import Samples

TEXT = "سلام، این یک جملهٔ آزمایشی است."
WITHOUT_DICTIONARY = {"fo", "kaa", "xex"}
PLAINER_NAMES = {"en", "fr"}


def never() -> bool:
    return False


def spoken(voice: Voice, text: str = TEXT, speed: float = 1.0, pitch: float = 1.0) -> Samples:
    return voice.speak(text, speed=speed, pitch=pitch, is_cancelled=never).samples


def voice_pitch_hz(samples: Samples, sample_rate: int) -> float:
    """The fundamental, by the strongest repetition within the middle of the speech."""
    middle = samples[len(samples) // 4 : len(samples) // 4 + 20_000]
    again = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    shortest = sample_rate // 400
    return sample_rate / (int(np.argmax(again[shortest : sample_rate // 60])) + shortest)


class TestLanguages:
    def test_the_table_is_what_the_library_lists(self) -> None:
        """R-VOICE-2: no language is promised that is not there, and none is kept back."""
        assert set(ESPEAK_LANGUAGES) - PLAINER_NAMES == set(espeak.languages()) - WITHOUT_DICTIONARY

    def test_each_speaks(self) -> None:
        """R-VOICE-2: in every language of the table something is heard."""
        silent = [key for key in ESPEAK_LANGUAGES if len(spoken(espeak.load(key), "hello 12")) < 4_000]
        assert silent == []

    @pytest.mark.parametrize(
        ("given", "key"), [("fa", "fa"), ("FA_ir", "fa"), ("zh", "cmn"), ("en-au", "en"), ("no", "nb"), ("tlh", None)]
    )
    def test_callers_may_name_a_region(self, given: str, key: str | None) -> None:
        """R-VOICE-2: what there is no voice for is left out of the name."""
        assert espeak_key(given) == key

    def test_each_name_is_written(self) -> None:
        """R-VOICE-2: in Persian letters for Persian readers."""
        assert all(name.english and name.native for name in ESPEAK_LANGUAGES.values())
        assert all("\u0600" <= name.persian[0] <= "\u06ff" for name in ESPEAK_LANGUAGES.values())

    def test_mms_names_its_languages(self) -> None:
        """R-VOICE-2: three letters, two for callers."""
        assert [language_of_three_letters(code) for code in ("fas", "uzb-script_latin", "ckb")] == ["fa", "uz", "ckb"]
        assert [language_of_name(name) for name in ("facebook/mms-tts-fas", "MMS_TTS_eng", "mms-tts", "bert")] == [
            "fa", "en", None, None,
        ]  # fmt: skip

    def test_an_unknown_language_is_named(self) -> None:
        """R-VOICE-2: the refusal says which."""
        with pytest.raises(InvalidInputError, match="does not speak tlh"):
            espeak.load("tlh")


class TestSpeak:
    def test_speech_is_heard(self, persian: Voice) -> None:
        """R-VOICE-2: 22,050 Hz, and as long as such a sentence is."""
        samples = spoken(persian)
        assert persian.sample_rate == 22_050
        assert 1.5 < len(samples) / 22_050 < 4
        assert 0.3 < np.abs(samples).max() <= 1

    @pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
    def test_the_speed_is_what_was_asked(self, persian: Voice, speed: float) -> None:
        """R-VOICE-2: beyond the library's own bounds too."""
        assert len(spoken(persian, speed=speed)) * speed == pytest.approx(len(spoken(persian)), rel=0.12)

    def test_the_pitch_goes_up_and_down(self, persian: Voice) -> None:
        """R-VOICE-2: and the next sentence is at its own again."""
        low, plain, high, again = (
            voice_pitch_hz(spoken(persian, pitch=pitch), 22_050) for pitch in (0.5, 1.0, 2.0, 1.0)
        )
        assert low < plain < high
        assert again == pytest.approx(plain, rel=0.05)

    def test_the_same_text_is_spoken_alike(self, persian: Voice) -> None:
        """R-VOICE-4: another language in between changes nothing; the flutter's phase moves some samples."""
        first = spoken(persian)
        spoken(espeak.load("de"), "Guten Tag", speed=2.0, pitch=1.5)
        assert len(spoken(persian)) == pytest.approx(len(first), abs=44)  # 2 ms

    def test_it_is_cancelled_within_a_sentence(self, persian: Voice) -> None:
        """R-VOICE-2: a tenth of a second of speech later, and the voice goes on to serve."""
        asked = 0

        def soon() -> bool:
            nonlocal asked
            asked += 1
            return asked > 3

        with pytest.raises(Cancelled):
            persian.speak(TEXT * 20, speed=1.0, pitch=1.0, is_cancelled=soon)
        assert asked == 4
        assert len(spoken(persian)) > 22_050

    def test_what_fails_in_between_is_raised(self, persian: Voice) -> None:
        """R-VOICE-2: nothing is lost in the library's call."""

        def fails() -> bool:
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            persian.speak(TEXT, speed=1.0, pitch=1.0, is_cancelled=fails)

    @pytest.mark.parametrize("text", ["سلام\x00دنیا", "[[x]] <speak>&amp;</speak>", "\ud800 سلام", "\x07سلام"])
    def test_any_text_is_text(self, persian: Voice, text: str) -> None:
        """R-VOICE-2: neither markup nor a control character is obeyed."""
        assert len(spoken(persian, text)) > 8_000

    def test_without_the_extra_the_refusal_says_what_to_install(self) -> None:
        """R-VOICE-2: GPL-3.0 is an extra of its own."""
        code = """
            import sys
            sys.modules["espeakng_loader"] = None
            from simorgh_shared.domain.errors import UnavailableError
            from simorgh_voice.engine.synthesis import espeak
            assert not espeak.is_available()
            try:
                espeak.load("fa")
            except UnavailableError as error:
                print(error.message())
        """
        told = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
        assert "pip install 'simorgh-voice[espeak]'" in told.stdout

    def test_nothing_but_the_synthesis_loads_it(self) -> None:
        """R-VOICE-2: the package of the synthesis alone loads neither library nor torch."""
        code = "import sys, simorgh_voice.engine.synthesis; print({'espeakng_loader', 'torch'} & set(sys.modules))"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "set()"
