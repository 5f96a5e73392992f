"""Which languages there are by every name that clients write, and which one a text is in (R-VOICE-1, R-VOICE-2)."""

import pytest

from simorgh_shared.speech.languages import LANGUAGES, language_code
from simorgh_shared.speech.scripts import language_of


class TestLanguageCode:
    """A code, a tag or an English name."""

    @pytest.mark.parametrize("given", ["fa", "FA", "fa-IR", "fa_IR", "Persian", " farsi "])
    def test_every_spelling_means_the_same(self, given: str) -> None:
        """OpenAI's clients send ISO 639-1 codes, browsers send tags, people write names."""
        assert language_code(given) == "fa"

    @pytest.mark.parametrize("given", ["", "xx", "klingon", "english please", "12"])
    def test_what_whisper_does_not_hear_is_none(self, given: str) -> None:
        """It is for the caller to refuse."""
        assert language_code(given) is None

    def test_each_code_and_name_is_known(self) -> None:
        """A hundred languages."""
        assert len(LANGUAGES) == 100
        assert all(language_code(code) == code and language_code(name) == code for code, name in LANGUAGES.items())


class TestLanguageOf:
    """The language by the letters."""

    @pytest.mark.parametrize(
        ("text", "language"),
        [
            ("سلام دنیا", "fa"),
            ("این iPhone خراب شده است", "fa"),
            ("مرحبا بكم في المدينة", "ar"),
            ("یہ اردو ہے", "ur"),
            ("Hello there, ۱۲", "en"),
            ("Привет", "ru"),
            ("こんにちは世界", "ja"),
            ("۱۲۳", "fa"),
            ("🙂", "fa"),
            ("", "fa"),
        ],
    )
    def test_it_is_that_of_most_letters(self, text: str, language: str) -> None:
        """Where nothing tells, Persian."""
        assert language_of(text) == language
