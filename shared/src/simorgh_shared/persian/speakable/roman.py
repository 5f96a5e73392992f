"""Roman numerals, where a Persian word before them or their own letters make clear that they are numbers."""

import re

from simorgh_shared.persian.alphabet import WORD
from simorgh_shared.persian.speakable.numbers import cardinal, ordinal
from simorgh_shared.persian.speakable.rules import NO_LETTER, Rule
from simorgh_shared.persian.speakable.tables import any_of, words

_VALUES = {"I": 1, "V": 5, "X": 10}
_NUMERAL = "(?=[IVX])(X{0,3}(?:IX|IV|V?I{0,3}))"
"""Up to 39: past it the letters are likelier an acronym (CD, MMM) than a century or a king."""
_SHAPES = dict(zip(map(chr, range(0x2160, 0x216C)), words("I II III IV V VI VII VIII IX X XI XII"), strict=True))
_RANKED = any_of(
    words(
        "قرن سده سدهٔ جنگ‌جهانی جهانی فصل بخش جلد فاز مرحله مرحلهٔ دوره دورهٔ پرده پردهٔ کتاب لویی لوئی هنری جرج جورج"
        " الیزابت چارلز پاپ ناپلئون ادوارد ریچارد ویلهلم فردریک کاترین نیکلای الکساندر پل بندیکت رامسس"
    )
)
_COUNTED = any_of(words("نوع تیپ گروه کلاس درجه درجهٔ سری مدل نسخه نسخهٔ سطح قسمت بند ماده مادهٔ شماره شمارهٔ اپیزود"))
_AFTER_RANKED = re.compile(rf"(?<![{WORD}])((?:{_RANKED}) ){_NUMERAL}(?:م|ام)?(?![A-Za-z0-9])")
_AFTER_COUNTED = re.compile(rf"(?<![{WORD}])((?:{_COUNTED}) ){_NUMERAL}(?![A-Za-z0-9.])")
_ALONE = re.compile(rf"(?<![A-Za-z0-9.-])(?=[IVX]{{2,}}){_NUMERAL}(?![A-Za-z0-9-]){NO_LETTER}")
_SHAPE = re.compile("[\u2160-\u216b]")


def _value(numeral: str) -> int:
    values = [_VALUES[letter] for letter in numeral]
    return sum(-value if value < max(values[place:]) else value for place, value in enumerate(values))


RULES = (
    Rule(_AFTER_RANKED, lambda found: found[1] + ordinal(_value(found[2]))),
    Rule(_AFTER_COUNTED, lambda found: found[1] + cardinal(_value(found[2]))),
    Rule(_ALONE, lambda found: cardinal(_value(found[1]))),
)


def plain_shapes(text: str) -> str:
    """The single characters for Ⅰ to Ⅻ as letters."""
    return _SHAPE.sub(lambda found: _SHAPES[found.group()], text)
