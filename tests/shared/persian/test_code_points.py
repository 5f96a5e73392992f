"""The code-point level, which the sample's checksums and every split stand on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simorgh_shared.persian.code_points import comparison_key, normalise_code_points


class TestNormaliseCodePoints:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("كتاب\u200cهاي  \u200fمـن ٣", "کتاب\u200cهای من ۳"),
            ("می روم ،خانه ها", "می روم ،خانه ها"),
            ("\u200c سلام\u200c\n\u200cخوبی\u200c\u200cم \u200c", "سلام خوبی\u200c\u200cم"),
            ("ﺳﻼم 12", "سلام 12"),
        ],
    )
    def test_changes_no_word(self, text, expected):
        """R-FA-1: letters, Arabic digits and spaces only."""
        assert normalise_code_points(text) == expected

    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def test_is_idempotent(self, text):
        """R-FA-1."""
        assert normalise_code_points(normalise_code_points(text)) == normalise_code_points(text)


class TestComparisonKey:
    def test_is_shared_by_spellings_of_one_sentence(self):
        """R-DATA-6."""
        assert comparison_key("مي‌روم، مؤمن!") == comparison_key("می روم مومن") == "میروممومن"
