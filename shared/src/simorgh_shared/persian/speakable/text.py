"""The pass over a text that makes it speakable: normalise, let each rule write its words, drop what no voice says."""

import re
import unicodedata

from simorgh_shared.persian.alphabet import LETTERS, MARKS, ZWNJ
from simorgh_shared.persian.normaliser import Digits, NormaliseOptions, normalise
from simorgh_shared.persian.speakable import (
    abbreviations,
    addresses,
    arithmetic,
    dates,
    emoji,
    identifiers,
    latin,
    measures,
    money,
    roman,
    times,
)
from simorgh_shared.persian.speakable.rules import apply

MOST_ROUNDS = 8
"""Words that one round writes may give the normaliser an affix to join; two rounds settle almost any text."""

_OPTIONS = NormaliseOptions(digits=Digits.KEEP)
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_ONE_SHAPE = _FULL_WIDTH | str.maketrans({"‐": "-", "‑": "-", "\u00a0": " ", "`": " ", "\u200d": None, "∕": "/"})
_PUNCTUATION = str.maketrans(
    {",": "،", "٬": "،", "٫": "،", "|": "،", ";": "؛", "?": "؟", "۔": ".", "。": "."}
    | {"[": "(", "]": ")", "{": "(", "}": ")", "“": "«", "„": "«", "”": "»"}
)
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_UNSPOKEN = re.compile(rf"[^{LETTERS}{MARKS}{ZWNJ} \n.،؛:؟!…«»()]+")
_PAUSE_OF_DASH = re.compile(r"(?<=\S) +(?:[-–—]{1,3}) +(?=\S)|(?<=\S)[–—](?=\S)|(?<=\w)—|—(?=\w)")
_SIGNS_IN_WORDS = re.compile("&")
_BLANKS = re.compile(r"[^\S\n]+")
_BLANK_BEFORE_ZWNJ = re.compile(f" +{ZWNJ}")
_BLANK_BESIDE_MARK = re.compile(r" +(?=[.،؛:؟!…»)\n])|(?<=[«(\n]) +")
_BRACKET_TOO_CLOSE = re.compile(r"(?<=[،.؛:»])\(")
_EMPTY_PAIR = re.compile(r"\([\s.،؛:]*\)|«[\s.،؛:]*»")
_PAUSES_IN_A_ROW = re.compile("[،؛](?:[ ]?[،؛])+|،(?= ?[.؟!:…])")
_PAUSE_FIRST = re.compile(r"^[ ،؛:]+|(?<=[(«])[،؛: ]+", re.MULTILINE)
_MARK_ALONE = re.compile(f"(?<![{LETTERS}{MARKS}{ZWNJ}])[{MARKS}]+")

_RULES = (
    *emoji.RULES,
    *addresses.RULES,
    *latin.SIGNED,
    *identifiers.RULES,
    *abbreviations.RULES,
    *dates.RULES,
    *times.RULES,
    *money.RULES,
    *arithmetic.ORDERS,
    *measures.RULES,
    *arithmetic.RULES,
    *roman.RULES,
    *latin.RULES,
    *arithmetic.NUMBERS,
)
"""In this order: what a date or a telephone number is must be known before its digits are read as numbers."""


def speakable(text: str, language: str = "fa") -> str:
    """The text in Persian words and punctuation alone; idempotent. Other languages get their blanks mended only."""
    if language != "fa":
        return _BLANKS.sub(" ", text.replace("\r\n", "\n")).strip()
    current = _settled(text)
    for _ in range(MOST_ROUNDS):
        following = _settled(current)
        if following == current:
            break
        current = following
    return current


def _settled(text: str) -> str:
    plain = normalise(text, _OPTIONS)
    plain = _OTHER_DIGIT.sub(lambda found: str(unicodedata.digit(found.group())), plain).translate(_ONE_SHAPE)
    plain = latin.plain_latin(roman.plain_shapes(arithmetic.lowered(plain)))
    plain = apply(_RULES, abbreviations.begin_lines(plain))
    plain = abbreviations.open_dots(_SIGNS_IN_WORDS.sub(" و ", _PAUSE_OF_DASH.sub("، ", plain)))
    plain = _UNSPOKEN.sub(" ", plain.translate(_PUNCTUATION))
    return normalise(_mended(plain), _OPTIONS)


def _mended(text: str) -> str:
    text = _BLANK_BEFORE_ZWNJ.sub(ZWNJ, _BLANKS.sub(" ", text))
    text = _BLANK_BESIDE_MARK.sub("", _EMPTY_PAIR.sub(" ", _MARK_ALONE.sub("", text)))
    text = _BRACKET_TOO_CLOSE.sub(" (", text)
    return _PAUSE_FIRST.sub("", _PAUSES_IN_A_ROW.sub("،", text)).strip()
