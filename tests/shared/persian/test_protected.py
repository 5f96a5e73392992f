"""What is hidden comes back as it was."""

from hypothesis import given

from simorgh_shared.persian.protected import CODE, NUMBER, PICTURE, WORD, hide
from tests.shared.persian.test_normaliser import MIXED


class TestHide:
    def test_one_sign_for_each_span(self):
        """R-FA-1."""
        hidden = hide("در `كد` و http://x.ir و ۱۲:۳۰ و :)")
        assert hidden.text == f"در {CODE} و {WORD} و {NUMBER} و {PICTURE}"

    def test_a_sign_in_the_text_is_a_span_of_its_own(self):
        """R-FA-1: a text may hold any character."""
        text = f"متن {WORD} و {CODE} @a"
        hidden = hide(text)
        assert hidden.restore(hidden.text) == text

    @given(MIXED)
    def test_restore_gives_back_all_but_bidi_marks(self, text):
        """R-FA-1."""
        hidden = hide(text)
        restored = hidden.restore(hidden.text)
        assert hide(restored).restore(hide(restored).text) == restored
        assert [character for character in text if character in "\u200e\u200f\u202b\u202c\u2067\u2069\ufeff\u061c"] or (
            restored == text
        )
