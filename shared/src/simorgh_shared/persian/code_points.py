"""Code-point level of Persian text: one spelling for what looks the same. No word is changed.

The sample's checksums and every split stand on `normalise_code_points` and `comparison_key`: their output never
changes. What may change with a version belongs to `simorgh_shared.persian.normaliser`.
"""

import re
import unicodedata

ZWNJ = "\u200c"
BIDI_MARKS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
PERSIAN_FROM_ARABIC_DIGITS = str.maketrans({chr(0x660 + digit): chr(0x6F0 + digit) for digit in range(10)})
_LETTERS = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "ـ": None} | dict.fromkeys(BIDI_MARKS))
_LETTER_VARIANTS = str.maketrans({"أ": "ا", "إ": "ا", "ؤ": "و", "ئ": "ی", "ة": "ه", "ۀ": "ه"})
_PRESENTATION_FORM = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")
_NO_LETTER_OR_DIGIT = re.compile(r"[\W_]+")  # exactly what is of no category L or N; 8 times as fast as asking for it
_SPACE_TO_MEND = re.compile(f"[\\s{ZWNJ}]{{2,}}+|[^\\S ]")


def fold_letters(text: str) -> str:
    """The text in NFC with Persian ye and kaf, without tatweel, bidi marks and presentation forms."""
    plain = _PRESENTATION_FORM.sub(lambda form: unicodedata.normalize("NFKC", form.group()), text)
    plain = unicodedata.normalize("NFC", plain).translate(_LETTERS)
    return unicodedata.normalize("NFC", plain)  # a mark may meet its letter once a tatweel is gone


def normalise_code_points(text: str) -> str:
    """`fold_letters` with Persian digits for Arabic ones and single spaces, also for line breaks; idempotent.

    A ZWNJ is kept between two characters and dropped beside a space, where it joins nothing.
    """
    plain = fold_letters(text).translate(PERSIAN_FROM_ARABIC_DIGITS)
    return _SPACE_TO_MEND.sub(_one_space, plain).strip(f" {ZWNJ}")


def comparison_key(text: str) -> str:
    """What two spellings of one sentence share: letters and digits only, letter variants folded."""
    folded = unicodedata.normalize("NFC", normalise_code_points(text).casefold()).translate(_LETTER_VARIANTS)
    return _NO_LETTER_OR_DIGIT.sub("", folded)


def _one_space(run: re.Match[str]) -> str:
    return " " if run.group().strip(ZWNJ) else run.group()
