"""Persian abbreviations in full; only where they cannot be a word of their own."""

import re

from simorgh_shared.persian.alphabet import LETTERS, MARKS, WORD, ZWNJ
from simorgh_shared.persian.speakable.rules import NO_LETTER, Rule
from simorgh_shared.persian.speakable.tables import any_of, table

_NO_LETTER_BEFORE = f"(?<![{WORD}.])"
_DOTTED = table("""
ه.ش هجری شمسی، ه.ق هجری قمری، ه.خ هجری خورشیدی، ق.م قبل از میلاد، پ.م پیش از میلاد، ب.م بعد از میلاد،
پ.ه پیش از هجرت، ق.ه قبل از هجرت، ق.ظ قبل از ظهر، ب.ظ بعد از ظهر، ر.ک رجوع کنید، ر.ج رجوع کنید، ن.ک نگاه کنید،
پ.ن پی‌نوشت، ج.ا جمهوری اسلامی، ج.ا.ا جمهوری اسلامی ایران، ص.پ صندوق پستی، ک.پ کد پستی،
ش.م.ر شیمیایی میکروبی رادیواکتیو، ه.م همان منبع، ق.ا قانون اساسی
""")
_REVERENCE = table("""
ص صلی الله علیه و آله، صلعم صلی الله علیه و سلم، ع علیه‌السلام، س سلام الله علیها، عج عجل الله تعالی فرجه،
ره رحمة الله علیه، رض رضی الله عنه، قده قدس سره، مد ظله مد ظله العالی، دام ظله دام ظله
""")
_BEFORE_NUMBER = table("""
ص صفحهٔ، صص صفحات، ج جلد، ش شمارهٔ، شم شمارهٔ، ف فصل، م مادهٔ، پ پلاک، ط طبقهٔ
""")
_UNAMBIGUOUS_BEFORE_NUMBER = ("ص", "صص", "ج", "ش")
"""The others need their full stop: ف. ۳; alone they may be anything."""
_BEHIND_YEAR = {"م": "میلادی", "ش": "شمسی", "ق": "قمری", "ه": "هجری", "خ": "خورشیدی"}
_LIGATURES = {"ﷺ": "صلی الله علیه و سلم", "ﷲ": "الله", "ﷻ": "جل جلاله"}

_NO_LETTER = re.compile(f"[^{LETTERS}]+")


def _spread(abbreviation: str) -> str:
    """ه.ش also as ه. ش, ه‌.ش and with a joiner behind its heh."""
    return r"[\u200c\u200d]?\.[ \u200c]?".join(re.escape(letter) for letter in abbreviation.split("."))


_ANY_DOTTED = re.compile(
    rf"{_NO_LETTER_BEFORE}({'|'.join(_spread(name) for name in sorted(_DOTTED, key=len, reverse=True))})"
    rf"(?![{WORD}]|\.[{LETTERS}](?![{LETTERS}]))(?:\.(?!\s*$))?",  # at a line's end its full stop is the sentence's too
    re.MULTILINE,
)
_YEAR_OF_HEGIRA = re.compile(rf"(?<=\d) ?ه[ {ZWNJ}-]?([شق])(?![{WORD}])")
_IN_BRACKETS = re.compile(rf"\(\s?({any_of(_REVERENCE)})\s?\)")
_NUMBERED = re.compile(
    rf"{_NO_LETTER_BEFORE}(?:({any_of(_UNAMBIGUOUS_BEFORE_NUMBER)})[.:]?|({any_of(_BEFORE_NUMBER)})\.) ?(?=\d)"
)
_YEAR = re.compile(rf"(?<=\d\d\d)(?: ?|{ZWNJ})([مشقخ])(?:\.(?![{WORD}])|(?= ?[)–،-]))")
_YEAR_CLOSE = re.compile(r"(?<![\d.,/:٫٬-])((?:1\d|20)\d\d)م(?![" + WORD + "])")
_YEAR_SAID = re.compile(rf"((?:سال|سال‌های|متولد|درگذشتهٔ?|زادهٔ?) \d{{3,4}}) ?([مشق]){NO_LETTER}")
_DOCTOR = re.compile(rf"{_NO_LETTER_BEFORE}د\. ?(?=[{LETTERS}]{{2}})")
_STREET = re.compile(rf"{_NO_LETTER_BEFORE}(?<![.] )خ\. ?(?=[{LETTERS}]{{2}})")
_AND_SO_ON = re.compile(rf"{_NO_LETTER_BEFORE}(?:الخ|إلخ)(?![{WORD}])\.?")
_LIGATURE = re.compile(f"([{''.join(_LIGATURES)}])")
_DOT_INSIDE = re.compile(rf"(?<=[{LETTERS}{MARKS}])\.(?=[{LETTERS}])")
_LIST_NUMBER = re.compile(r"^([ \t]*)\(?(?!0)(\d{1,3})(?:[.)-](?=[ \t]*[^\s\d.,/-])|[.)-] )[ \t]*", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:[•●▪◦‣·*]|[-–—](?=[ \t]))[ \t]*", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.MULTILINE)


def _dotted(found: re.Match[str]) -> str:
    return _DOTTED[_NO_LETTER.sub(".", found[1])]


def _numbered(found: re.Match[str]) -> str:
    return _BEFORE_NUMBER[found[1] or found[2]]


RULES = (
    Rule(_LIGATURE, lambda found: _LIGATURES[found[1]]),
    Rule(_IN_BRACKETS, lambda found: _REVERENCE[found[1]]),
    Rule(_ANY_DOTTED, _dotted),
    Rule(_YEAR_OF_HEGIRA, lambda found: f"هجری {_BEHIND_YEAR[found[1]]}"),
    Rule(_YEAR_CLOSE, lambda found: f"{found[1]} میلادی"),
    Rule(_YEAR_SAID, lambda found: f"{found[1]} {_BEHIND_YEAR[found[2]]}"),
    Rule(_YEAR, lambda found: _BEHIND_YEAR[found[1]]),
    Rule(_NUMBERED, _numbered),
    Rule(_DOCTOR, lambda _: "دکتر"),
    Rule(_STREET, lambda _: "خیابان"),
    Rule(_AND_SO_ON, lambda _: "الی آخر"),
)


def begin_lines(text: str) -> str:
    """Numbers of a list with a pause behind them; bullets and marks of headings are not said."""
    text = _BULLET.sub("", _HEADING.sub("", text))
    return _LIST_NUMBER.sub(r"\1\2، ", text)


def open_dots(text: str) -> str:
    """بی.بی.سی without its full stops, which a voice would take for ends of sentences."""
    return _DOT_INSIDE.sub(" ", text)
