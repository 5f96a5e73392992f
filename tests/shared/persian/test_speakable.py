"""Text for a voice: the table beside this file, and what holds for any text."""

import re
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simorgh_shared.persian.alphabet import LETTERS, MARKS
from simorgh_shared.persian.speakable import speakable
from simorgh_shared.persian.speakable.numbers import cardinal, ordinal
from simorgh_shared.persian.speakable.tables import words
from tests.shared.persian.test_normaliser import MIXED

TABLE = Path(__file__).with_name("speakable_cases.tsv")
SPOKEN = re.compile(f"[{LETTERS}{MARKS}\u200c \n.،؛:؟!…«»()]*")
REAL_TEXT = Path(__file__).parents[4] / "shared/data/commonvoice_fa_text/test.txt"
TOKENS = words(
    """
    ۱۴۰۳/۰۵/۲۱ 12:30 $5 5% ٪۵ km m² +98 0912 ه.ش ق.م (ص) ص ج USB Google iPhone https://a.ir/b?x=1 a@b.co #تگ @نام
    😂 ❤️ 👍🏽 XIX ½ - – / : . , ، ( ) « » ^ ² × = م ام مین میلیون تومان دلار صبح مهر شنبه AM . و تا ۱ 2 ٣ 007 1,200
    ۳٫۵ 3.11.2 °C می ها تر ای بی اس 0 :) <3 د. بی.بی.سی قرن ۱۲ i/kæl/
    """
)
PARTS = st.one_of(
    st.sampled_from(TOKENS),
    st.just(" "),
    st.just("\n"),
    MIXED,
)
ADVERSARIAL = (
    *words("1 1. 1/ 1- 1: 1,000 a a. A a@ @a #ا https:// a.com 1م 😂 ( 0912 $1 - ½ ^ ا. 1/2/ % /ɔ ["),
    *words("+1 +1/ A- 0 (1 1,1 1- %1%- http://a +1-1/ 1٬1 a.b-1 1:1: 1/1/1/ ۱ا 🏽 :( IX 1st ص1 ق. م.م. @a. a_ 1_ ..1"),
    *("1 - ", "+1 1 ", "1 ", "ه.ش ", "م ", "+1 ", "5 km ", "IV ", "ص 1 ", "تلفن 1", "۱ تا ", "۱ مهر – "),
)
TANGLED = st.lists(PARTS, max_size=12).map("".join)


class Case(NamedTuple):
    """One row: what stands in the text, what is said."""

    group: str
    text: str
    expected: str
    why: str


def _read(cell: str) -> str:
    cell = cell.replace("|", "\u200c").replace("\\n", "\n").replace("∅", "")
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), cell)


def _cases() -> list[Case]:
    cases: list[Case] = []
    group = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line and not re.match("# (?!عنوان)", line):
            text, expected, why = line.split("\t")
            cases.append(Case(group, _read(text), _read(text if expected == "=" else expected), why))
    return cases


CASES = _cases()
IDS = [f"{case.group}: {number}" for number, case in enumerate(CASES)]


class TestSpeakable:
    @pytest.mark.parametrize("case", CASES, ids=IDS)
    def test_row_of_the_table(self, case):
        """R-VOICE-3."""
        assert speakable(case.text) == case.expected, case.why
        assert speakable(case.expected) == case.expected

    def test_table_is_large_in_every_class(self):
        """R-VOICE-3."""
        groups = [case.group for case in CASES]
        assert len({case.text for case in CASES}) == len(CASES) >= 300
        assert {group: groups.count(group) for group in set(groups) if groups.count(group) < 8} == {}

    @settings(max_examples=500, deadline=None)
    @given(text=st.one_of(TANGLED, MIXED, st.text(max_size=40)))
    def test_any_text_becomes_words_and_punctuation_and_stays_so(self, text):
        """R-VOICE-3: total and idempotent."""
        once = speakable(text)
        assert SPOKEN.fullmatch(once), once
        assert speakable(once) == once

    @settings(max_examples=200, deadline=None)
    @given(value=st.integers(min_value=0, max_value=10**36 - 1))
    def test_every_cardinal_is_made_of_number_words(self, value):
        """R-VOICE-3."""
        assert speakable(f"عدد {value:,}") == f"عدد {cardinal(value)}"
        assert ordinal(value).endswith(("م", "سوم", "ام"))

    def test_digits_beyond_every_scale_are_said_one_by_one(self):
        """R-VOICE-3."""
        assert speakable("9" * 5000) == " ".join(["نه"] * 5000)

    def test_other_languages_get_their_blanks_mended_only(self):
        """R-VOICE-3."""
        assert speakable("  It  is 12:30,\tUSB \n 5 % ", "en") == "It is 12:30, USB \n 5 %"

    @pytest.mark.skipif(not REAL_TEXT.exists(), reason="the shared data do not stand beside this checkout")
    def test_real_text_is_said_whole(self):
        """R-VOICE-3: sentences without digits or Latin keep every word."""
        for line in REAL_TEXT.read_text(encoding="utf-8").splitlines():
            if not re.search("[0-9۰-۹A-Za-z]", line):
                kept = re.sub(r"[\W_]", "", speakable(line))
                assert len(kept) >= len(re.sub(r"[\W_]", "", line)) - 3

    @pytest.mark.parametrize(
        "unit",
        ADVERSARIAL,
        ids=ascii,
    )
    def test_takes_time_in_proportion_to_the_text(self, unit):
        """R-VOICE-3: a long text of anything takes seconds, not minutes."""
        start = time.process_time()
        speakable(unit * (10_000 // len(unit)))
        assert time.process_time() - start < 4
