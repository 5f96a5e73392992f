"""The one normaliser of Persian text (R-FA-1): code points, ZWNJ at affixes, blanks and punctuation; idempotent."""

import re
from dataclasses import dataclass
from enum import StrEnum

from simorgh_shared.persian.affixes import join_affixes
from simorgh_shared.persian.alphabet import LETTERS, VOWEL_MARKS, WORD, ZWNJ
from simorgh_shared.persian.code_points import PERSIAN_FROM_ARABIC_DIGITS, fold_letters
from simorgh_shared.persian.protected import hide
from simorgh_shared.persian.spacing import clean_blanks, clean_zwnj, space_punctuation

NORMALISER_VERSION = "1"
"""Changes whenever any output may change, also by a word in the word list."""

MOST_ROUNDS = 6
"""One round settles clean text and two almost any other; a text that has not settled by then stays as it came."""

_PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹") | PERSIAN_FROM_ARABIC_DIGITS
_LETTER_SHAPES = str.maketrans({"ڪ": "ک", "ھ": "ه", "ہ": "ه", "ۀ": "هٔ", "ۂ": "هٔ"})
_HEH_WITH_HAMZA = re.compile(f"ه{ZWNJ}?ء(?![{WORD}])")
_YE_WITH_HAMZA = re.compile("ی\u0654")
_ZWNJ_OF_OLD_FILES = re.compile(f"(?<=[{LETTERS}])¬(?=[{LETTERS}])")
_VOWEL_MARKS = re.compile(f"[{VOWEL_MARKS}]")


class Diacritics(StrEnum):
    """What becomes of vowel marks, tanvin and tashdid."""

    KEEP = "keep"
    STRIP = "strip"


class Digits(StrEnum):
    """What becomes of digits that stand alone."""

    PERSIAN = "persian"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class NormaliseOptions:
    """What a text's owner decides; everything else of the normaliser is the same for all."""

    diacritics: Diacritics = Diacritics.KEEP
    """STRIP also takes the tanvin of لطفاً; the hamza of خانهٔ and the madda of آ belong to the spelling and stay."""
    digits: Digits = Digits.PERSIAN
    """PERSIAN turns ASCII and Arabic digits into Persian ones, but no ASCII ones in times, dates, decimals, Latin."""
    join_affixes: bool = True
    """Put a ZWNJ between a word and its affix where a space stands, or nothing: می روم، کتابها."""
    space_punctuation: bool = True
    """Take blanks before marks and inside brackets away, and put the missing ones after and outside."""

    def fingerprint(self) -> str:
        """What lineage records: two texts with one fingerprint went through the same rules."""
        return (
            f"persian-normaliser/{NORMALISER_VERSION} diacritics={self.diacritics} digits={self.digits}"
            f" join_affixes={self.join_affixes} space_punctuation={self.space_punctuation}".lower()
        )


DEFAULT_OPTIONS = NormaliseOptions()


def normalise(text: str, options: NormaliseOptions = DEFAULT_OPTIONS) -> str:
    """One spelling of a Persian text; code, addresses, names, tags, numbers with marks, Latin text and emoji stay.

    The result is a fixed point of the rules, so that normalising twice is normalising once: what one rule mends may
    show another its case, and a rule may change what counts as protected.
    """
    current = text
    for _ in range(MOST_ROUNDS):
        following = _one_round(current, options)
        if following == current:
            return current
        current = following
    return text


def _one_round(text: str, options: NormaliseOptions) -> str:
    hidden = hide(text)
    plain = _fold(hidden.text)
    if options.digits is Digits.PERSIAN:
        plain = plain.translate(_PERSIAN_DIGITS)
    if options.diacritics is Diacritics.STRIP:
        plain = _VOWEL_MARKS.sub("", plain)
    plain = clean_blanks(clean_zwnj(plain))
    if options.space_punctuation:
        plain = space_punctuation(plain)
    if options.join_affixes:
        plain = join_affixes(plain)
    return hidden.restore(plain)


def _fold(text: str) -> str:
    """`fold_letters`, with the shapes that one Persian letter has in other keyboards and old files."""
    plain = fold_letters(text).translate(_LETTER_SHAPES)
    plain = _HEH_WITH_HAMZA.sub("هٔ", _YE_WITH_HAMZA.sub("ئ", plain))
    return _ZWNJ_OF_OLD_FILES.sub(ZWNJ, plain)
