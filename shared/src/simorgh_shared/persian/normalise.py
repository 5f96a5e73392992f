"""Code-point level normalisation of Persian text: one spelling for what looks the same. No word is changed."""

import re
import unicodedata

ZWNJ = "\u200c"
_BIDI_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_LETTERS = str.maketrans(
    {"ي": "ی", "ى": "ی", "ك": "ک", "ـ": None}
    | dict.fromkeys(_BIDI_MARKS)
    | {chr(0x660 + digit): chr(0x6F0 + digit) for digit in range(10)}
)
_LETTER_VARIANTS = str.maketrans({"أ": "ا", "إ": "ا", "ؤ": "و", "ئ": "ی", "ة": "ه", "ۀ": "ه"})
_PRESENTATION_FORM = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")
_SPACE_WITH_JOINERS = re.compile(f"[\\s{ZWNJ}]*\\s[\\s{ZWNJ}]*|^{ZWNJ}+|{ZWNJ}+$")


def normalise(text: str) -> str:
    """The text in NFC with Persian ye, kaf and digits, no tatweel or bidi marks, single spaces; idempotent.

    A ZWNJ is kept between two characters and dropped beside a space, where it joins nothing.
    """
    plain = _PRESENTATION_FORM.sub(lambda form: unicodedata.normalize("NFKC", form.group()), text)
    plain = unicodedata.normalize("NFC", plain).translate(_LETTERS)
    plain = unicodedata.normalize("NFC", plain)  # a mark may meet its letter once a tatweel is gone
    return _SPACE_WITH_JOINERS.sub(" ", plain).strip()


def comparison_key(text: str) -> str:
    """What two spellings of one sentence share: letters and digits only, letter variants folded."""
    folded = unicodedata.normalize("NFC", normalise(text).casefold()).translate(_LETTER_VARIANTS)
    return "".join(character for character in folded if unicodedata.category(character)[0] in "LN")
