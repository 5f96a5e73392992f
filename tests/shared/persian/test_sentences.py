"""Sentences for a voice: the table beside this file, and what holds for any text."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simorgh_shared.persian.sentences import split_sentences
from tests.shared.persian.test_normaliser import MIXED

TABLE = Path(__file__).with_name("sentences_cases.tsv")
LONG = "او به بازار رفت و نان خرید، پنیر هم خرید؛ اما سبزی نبود که بخرد و به خانه برگشت"


def _cases() -> list[tuple[str, list[str], str]]:
    cases = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            text, expected, why = (cell.replace("|", "\u200c").replace("\\n", "\n") for cell in line.split("\t"))
            cases.append((text, [text] if expected == "=" else expected.split("‖"), why))
    return cases


CASES = _cases()


class TestSplitSentences:
    @pytest.mark.parametrize(("text", "expected", "why"), CASES, ids=[str(number) for number in range(len(CASES))])
    def test_row_of_the_table(self, text, expected, why):
        """R-VOICE-2."""
        assert split_sentences(text) == expected, why

    def test_table_is_large(self):
        """R-VOICE-2."""
        assert len(CASES) >= 60

    @pytest.mark.parametrize(
        ("longest", "expected"),
        [
            (
                60,
                [
                    "او به بازار رفت و نان خرید، پنیر هم خرید؛",
                    "اما سبزی نبود که بخرد و به خانه برگشت",
                ],
            ),
            (
                36,
                [
                    "او به بازار رفت و نان خرید،",
                    "پنیر هم خرید؛",
                    "اما سبزی نبود که بخرد",
                    "و به خانه برگشت",
                ],
            ),
            (
                12,
                [
                    "او به بازار",
                    "رفت و نان",
                    "خرید،",
                    "پنیر هم",
                    "خرید؛",
                    "اما سبزی",
                    "نبود که بخرد",
                    "و به خانه",
                    "برگشت",
                ],
            ),
        ],
    )
    def test_a_long_sentence_is_cut_at_its_pauses_then_conjunctions_then_words(self, longest, expected):
        """R-VOICE-2."""
        pieces = split_sentences(LONG, longest)
        assert all(len(piece) <= longest for piece in pieces)
        assert " ".join(pieces) == LONG
        assert pieces == expected

    def test_a_word_longer_than_the_limit_stays_whole(self):
        """R-VOICE-2."""
        assert split_sentences("آب " + "ا" * 50 + " نان", 10) == ["آب", "ا" * 50, "نان"]

    @pytest.mark.parametrize("text", ["", " ", "\n", "\r\n \u2028"])
    def test_blanks_alone_are_no_sentence(self, text):
        """R-VOICE-2."""
        assert split_sentences(text) == []

    def test_a_limit_below_one_is_refused(self):
        """R-VOICE-2."""
        with pytest.raises(ValueError, match="longest"):
            split_sentences("سلام", 0)

    @settings(max_examples=300, deadline=None)
    @given(text=MIXED, longest=st.integers(min_value=1, max_value=60))
    def test_nothing_but_blanks_is_lost_and_pieces_fit(self, text, longest):
        """R-VOICE-2."""
        pieces = split_sentences(text, longest)
        assert "".join("".join(pieces).split()) == "".join(text.split())
        assert all(piece and piece == piece.strip() for piece in pieces)
        assert all(len(piece) <= longest or len(piece.split()) == 1 for piece in pieces)

    @given(st.lists(st.sampled_from(["نان", "آب،", "رفت.", "«بیا»", "و", "که", "3.5", "e.g.", "آمد؟"]), max_size=60))
    def test_words_with_blanks_between_come_back_as_they_were(self, words):
        """R-VOICE-2."""
        assert " ".join(split_sentences(" ".join(words), 20)).split() == words

    @pytest.mark.parametrize(
        "unit", ["«", "(ا ", "ا. ", "... ", "!", "و ", "ا", "« »", "،", "A.b ", ")", "\n"], ids=ascii
    )
    def test_takes_time_in_proportion_to_the_text(self, unit):
        """R-VOICE-2: a megabyte of anything is cut in seconds."""
        start = time.process_time()
        split_sentences(unit * (300_000 // len(unit)))
        assert time.process_time() - start < 6
