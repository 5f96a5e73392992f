"""The pass over a text that makes it speakable: normalise, let each rule write its words, drop what no voice says."""

import re

from simorgh_shared.persian.alphabet import LETTERS, MARKS, ZWNJ
from simorgh_shared.persian.normaliser import Digits, NormaliseOptions, normalise
from simorgh_shared.persian.speakable.numbers import NUMBER, number

MOST_ROUNDS = 6
"""Words that one round writes may give the normaliser an affix to join; two rounds settle almost any text."""

_OPTIONS = NormaliseOptions(digits=Digits.KEEP)
_ASCII_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
_PUNCTUATION = str.maketrans({",": "،", ";": "؛", "?": "؟", "[": "(", "]": ")", "“": "«", "”": "»"})
_UNSPOKEN = re.compile(rf"[^{LETTERS}{MARKS}{ZWNJ} \n.،؛:؟!…«»()]+")
_PERCENT = re.compile(rf"(?<![\d.,])(?:[%٪] ?({NUMBER})|({NUMBER}) ?[%٪])")
_ANY_NUMBER = re.compile(NUMBER)
_BLANKS = re.compile(r"[^\S\n]+")
_BLANK_BEFORE_MARK = re.compile(r" +(?=[.،؛:؟!…»)\n])|(?<=[«(\n]) +")


def speakable(text: str, language: str = "fa") -> str:
    """The text in Persian words and punctuation alone; idempotent. Other languages get their blanks mended only."""
    if language != "fa":
        return _mended(text.replace("\r\n", "\n"))
    current = text
    for _ in range(MOST_ROUNDS):
        following = _one_round(current)
        if following == current:
            break
        current = following
    return current


def _one_round(text: str) -> str:
    plain = normalise(text, _OPTIONS).translate(_ASCII_DIGITS)
    plain = _PERCENT.sub(lambda found: f" {number(found[1] or found[2])} درصد ", plain)
    plain = _ANY_NUMBER.sub(lambda found: f" {number(found.group())} ", plain)
    return normalise(_mended(_UNSPOKEN.sub(" ", plain.translate(_PUNCTUATION))), _OPTIONS)


def _mended(text: str) -> str:
    return _BLANK_BEFORE_MARK.sub("", _BLANKS.sub(" ", text)).strip()
