"""Many texts folded at once are folded as one by one."""

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simorgh_shared.datasets.statistics.columns import Column
from simorgh_shared.datasets.statistics.fingerprints import text_hashes
from simorgh_shared.datasets.statistics.folding import Pieces, fold, pieces_of
from simorgh_shared.datasets.statistics.lengths import Lengths
from simorgh_shared.persian.code_points import ZWNJ, comparison_key, normalise_code_points

_PERSIAN = st.text("ابپيیىكکهةئؤأآًَُّٔٓـ\u200c\u200f \n\t۱١1aßİ🌹ﻻﷺ؟.-_", max_size=40)
_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)  # a NUL is refused


def texts_of(pieces: Pieces) -> list[str]:
    whole, ends = "".join(map(chr, pieces.codes.tolist())), np.cumsum(pieces.lengths)
    return [whole[end - length : end] for end, length in zip(ends.tolist(), pieces.lengths.tolist(), strict=True)]


def one_zwnj(text: str) -> str:
    while ZWNJ * 2 in text:
        text = text.replace(ZWNJ * 2, ZWNJ)
    return text


class TestFold:
    @settings(deadline=None, max_examples=300)  # the first call makes the tables
    @given(st.lists(_PERSIAN | _ANY, min_size=1, max_size=6))
    @example(["هٔ", "ا\u0653ب", "a\u200c b", "ﻻ", "ش\u0651\u064e", "ي\u0640\u0654", "", " ", "\u1112\u1161\u11ab"])
    def test_is_what_the_functions_say(self, texts: list[str]) -> None:
        """R-DATA-5: whatever the text, also beside others."""
        folded = fold(texts, pieces_of(texts))
        assert texts_of(folded.key) == [comparison_key(text) for text in texts]
        assert texts_of(folded.plain) == [one_zwnj(normalise_code_points(text)) for text in texts]

    def test_letters_and_digits_are_told_by_category(self) -> None:
        """The key drops what is of no category L or N: of every code point."""
        for code in range(0x110000):
            key, char = comparison_key(chr(code)), chr(code)
            folded = unicodedata.normalize("NFC", normalise_code_points(char).casefold())
            if "".join(one for one in folded if unicodedata.category(one)[0] in "LN") == "":
                assert key == "", hex(code)
            else:
                assert all(unicodedata.category(one)[0] in "LN" for one in key), hex(code)
                assert key, hex(code)


class TestTextHashes:
    @given(st.lists(_PERSIAN, min_size=2, max_size=30))
    def test_are_equal_for_equal_texts_alone(self, texts: list[str]) -> None:
        """R-DATA-5."""
        hashes = text_hashes(pieces_of(texts)).tolist()
        assert len(set(hashes)) == len(set(texts))
        assert hashes[0] == int(text_hashes(pieces_of(texts[:1]))[0]), "its neighbours do not count"


class TestEqualRuns:
    @settings(deadline=None)  # it waits for a disk
    @given(values=st.lists(st.integers(0, 12), max_size=60), most=st.integers(1, 8), spread=st.booleans())
    def test_are_those_of_counting(
        self, tmp_path_factory: pytest.TempPathFactory, values: list[int], most: int, spread: bool
    ) -> None:
        """R-DATA-5: however few values fit in memory at once."""
        words = np.array(values, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15 if spread else 1)
        ignored = np.array([value == 3 for value in values], dtype=np.bool_)
        with Column(tmp_path_factory.mktemp("runs") / "values") as column:
            for begin in range(0, len(values), 7):
                column.append(words[begin : begin + 7])
            runs = sorted(run.tolist() for run in column.equal_runs(ignored, most))
        expected = [[row for row, value in enumerate(values) if value == one] for one in set(values) - {3}]
        assert runs == sorted(rows for rows in expected if len(rows) > 1)


class TestSpread:
    @given(st.lists(st.integers(0, 5_000), min_size=1, max_size=200))
    def test_quantiles_are_those_of_numpy(self, values: list[int]) -> None:
        """R-DATA-5: exact, by nearest rank."""
        lengths = Lengths()
        for begin in range(0, len(values), 9):
            lengths.add(values[begin : begin + 9])
        spread = lengths.spread()
        assert spread is not None
        for share in (5, 25, 50, 75, 95, 99):
            expected = np.percentile(np.array(values), share, method="inverted_cdf")
            assert getattr(spread, f"p{share}") == expected, share
        assert (spread.least, spread.most, spread.total) == (min(values), max(values), sum(values))

    @given(st.lists(st.integers(0, 5_000), min_size=1, max_size=200))
    def test_each_value_is_in_one_bin(self, values: list[int]) -> None:
        """R-DATA-5."""
        lengths = Lengths()
        lengths.add(values)
        spread = lengths.spread()
        assert spread is not None
        assert len(spread.histogram) <= 25
        for one in spread.histogram:
            assert one.count == sum(one.low <= value <= one.high for value in values)
        assert sum(one.count for one in spread.histogram) == len(values)
