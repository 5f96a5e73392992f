"""What of a text counts when a transcript is scored: as it was written, or only what was said."""

import re
import unicodedata
from enum import StrEnum

from simorgh_shared.persian.alphabet import LETTERS, ZWNJ
from simorgh_shared.persian.normaliser import Diacritics, NormaliseOptions, normalise
from simorgh_shared.persian.speakable import speakable

SCORING_VERSION = "1"
"""Changes whenever a score may change; the normaliser's version is told beside it."""

_OPTIONS = NormaliseOptions(diacritics=Diacritics.STRIP)
_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹", "0123456789")
_LETTERS = str.maketrans({"أ": "ا", "إ": "ا", "ٱ": "ا", "ؤ": "و", "ئ": "ی", "ة": "ه", "ٔ": None, "ٕ": None, "ٰ": None})
_EZAFE_OF_HEH = re.compile(f"(?<=ه){ZWNJ}ی(?![{LETTERS}])")
_INSIDE_NUMBER = re.compile(r"(?<=\d)[,٬](?=\d{3}(?!\d))")
_POINT = re.compile(r"(?<=\d)[.٫/](?=\d)")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_NO_WORD = re.compile(r"[^\w\ue000]|_")
_POINT_SIGN = "\ue000"


class ScoredForm(StrEnum):
    """Which differences between two texts are errors."""

    PLAIN = "plain"
    """Every one but blanks: what a reader sees."""
    NORMALISED = "normalised"
    """None of ZWNJ, ye and kaf, digits of other scripts, diacritics, hamza on its seat, punctuation and case."""
    SPOKEN = "spoken"
    """Normalised, after both are made speakable: ۱۲ and دوازده, USB and یو اس بی are one."""


def scored_text(text: str, form: ScoredForm) -> str:
    """The words that are compared, with single blanks between."""
    if form is ScoredForm.PLAIN:
        return " ".join(unicodedata.normalize("NFC", text).split())
    if form is ScoredForm.SPOKEN:
        text = speakable(text)
    plain = normalise(text, _OPTIONS).casefold()
    plain = _EZAFE_OF_HEH.sub("", plain).replace(ZWNJ, "").translate(_DIGITS).translate(_LETTERS)
    plain = _APOSTROPHE.sub("", _POINT.sub(_POINT_SIGN, _INSIDE_NUMBER.sub("", plain)))
    return " ".join(_NO_WORD.sub(" ", unicodedata.normalize("NFC", plain)).replace(_POINT_SIGN, ".").split())
