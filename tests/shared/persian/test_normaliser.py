"""The normaliser's promises: idempotent for every option, linear in time, blind to what is protected."""

import gc
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simorgh_shared.persian import normaliser
from simorgh_shared.persian.normaliser import NORMALISER_VERSION, Diacritics, Digits, NormaliseOptions, normalise

ALL_OPTIONS = [NormaliseOptions(*chosen) for chosen in product(Diacritics, Digits, (True, False), (True, False))]
WORDS = (
    "می", "نمی", "روم", "میروم", "نمی\u200cشود", "کتاب", "ها", "های", "هایی", "تر", "ترین",
    "بزرگ", "کم", "خانه", "ام", "ای", "اش", "ی", "ها!", "میدان", "تنها", "آن", "و", "ۀ", "هء",
    "ه\u200d", "خانهٔ", "كتابهاي", "على", "چشم", "جام", "لطفاً", "بی", "اس", "ه.ش",
)  # fmt: skip
PROTECTED = (
    "https://example.com/a(b)", "www.x.ir/كتاب", "a@b.co", "@علي_1", "#كتاب\u200cها", "12:30",
    "۱۲:۳۰", "1390/12/03", "۳٫۱۴", "۱٬۲۰۰", "2.4.1", "👨\u200d👩\u200d👧", "1️⃣", "❤️", "🇮🇷",
    "`كد  ها`", "``a ` b``", "```py\nx  =  1\n```", "```", "``", "`", "Latin", "C++", "iPhone 12",
    "e\u0301", ":)", ":-(", "(:", "Привет", "漢字",
)  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(PROTECTED),
    st.text(alphabet="یيىئكکهةۀأآابمنروتﻻﷲﹰﺏٱ", max_size=5),
    st.text(alphabet="\u200c\u200d\u0640\u064b\u0651\u0653\u0654\u0670\u0301\u00ac \u00a0\t\n\r\u2028", max_size=4),
    st.text(alphabet="\u200e\u200f\u202b\u202c\u2067\u2069\ufeff\u061c", max_size=2),
    st.text(alphabet="0123456789۱۲۳٤٥٦", max_size=3),
    st.text(alphabet="،؛؟:.!?,;…«»()[]{}\"'/-–_@#%&=<>*`\ufdd0\ufdd1\ufdd2\ufdd3", max_size=4),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=3),
    st.just(" "),
)
MIXED = st.lists(PIECES, max_size=14).map("".join)
REAL_TEXT = Path(__file__).parents[4] / "shared/data/commonvoice_fa_text/test.txt"
MANY_ROWS_OF_TICKS = "".join("`" * length + " " for length in range(1, 440))
ADVERSARIAL = (
    MANY_ROWS_OF_TICKS, "`", "`` ` ", "0", "1.", "1.a", ".1", "a.", "a-", "x://", "www..", "a@a.",
    "@a", "#ا\u200c", "( ", ")", "« »", "\u200c", "ب\u200c", "اً\u200c", "\u064b", "می ",
    "نمی روم ", "خانه ام ", " ها", "کتابها", "ی", " ", "\n ", ":(", "A ", "A،", "A.1 ", ", ",
    "...", "\u200f`", "\ufdd0", "e\u0301", "ـ", "ا" * 41 + " ", "👨\u200d",
)  # fmt: skip


class TestNormalise:
    @pytest.mark.parametrize("options", ALL_OPTIONS, ids=NormaliseOptions.fingerprint)
    @settings(max_examples=40, deadline=None)
    @given(text=MIXED)
    def test_is_idempotent_for_every_option(self, options, text):
        """R-FA-1."""
        once = normalise(text, options)
        assert normalise(once, options) == once

    @settings(max_examples=300, deadline=None)
    @given(text=MIXED, options=st.sampled_from(ALL_OPTIONS))
    def test_settles_before_it_gives_up(self, text, options):
        """R-FA-1: a text that came back as it was did not need the last resort to be a fixed point."""
        current = text
        for _ in range(normaliser.MOST_ROUNDS - 1):
            current = normaliser._one_round(current, options)
        assert normaliser._one_round(current, options) == current

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            (NormaliseOptions(), "لطفاً کتاب\u200cها را ۱۲ بار بخوان، خانهٔ من"),
            (NormaliseOptions(diacritics=Diacritics.STRIP), "لطفا کتاب\u200cها را ۱۲ بار بخوان، خانهٔ من"),
            (NormaliseOptions(digits=Digits.KEEP), "لطفاً کتاب\u200cها را 1٢ بار بخوان، خانهٔ من"),
            (NormaliseOptions(join_affixes=False), "لطفاً کتاب ها را ۱۲ بار بخوان، خانهٔ من"),
            (NormaliseOptions(space_punctuation=False), "لطفاً کتاب\u200cها را ۱۲ بار بخوان ،خانهٔ من"),
        ],
    )
    def test_every_option_does_what_it_says(self, options, expected):
        """R-FA-1."""
        assert normalise("لطفاً كتاب ها  را 1٢ بار بخوان ،خانۀ من", options) == expected

    @pytest.mark.skipif(not REAL_TEXT.exists(), reason="the shared data do not stand beside this checkout")
    def test_real_text_settles(self):
        """R-FA-1: everyday sentences, with the ZWNJ that people leave out."""
        lines = REAL_TEXT.read_text(encoding="utf-8").splitlines()
        once = [normalise(line) for line in lines]
        assert [normalise(line) for line in once] == once
        assert sum(map(str.__ne__, lines, once)) > 100

    @pytest.mark.parametrize("unit", ADVERSARIAL, ids=ascii)
    def test_takes_time_in_proportion_to_the_text(self, unit):
        """R-FA-1: four times the text may take nine times as long, where quadratic time would take sixteen."""
        short, long = (min(_seconds(_filled(unit, length)) for _ in range(2)) for length in (25_000, 100_000))
        assert long < 9 * short + 0.05


def _filled(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


def _seconds(text: str) -> float:
    gc.collect()
    start = time.process_time()
    normalise(text)
    return time.process_time() - start


class TestFingerprint:
    def test_tells_version_and_every_option(self):
        """R-FA-1: recorded in lineage."""
        prints = {options.fingerprint() for options in ALL_OPTIONS}
        assert len(prints) == len(ALL_OPTIONS)
        assert all(f"/{NORMALISER_VERSION} " in each for each in prints)
        assert NormaliseOptions().fingerprint() == (
            "persian-normaliser/1 diacritics=keep digits=persian join_affixes=true space_punctuation=true"
        )
