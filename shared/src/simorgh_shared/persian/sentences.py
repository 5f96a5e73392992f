"""Cuts a text into sentences that a voice says one by one: Persian punctuation first, other scripts' too.

Only the text's own order is kept, never a rule of one language's grammar: what is not clearly an end is none, since a
voice that goes on too long is better than one that stops inside a name.
"""

import re
from collections.abc import Iterator

from simorgh_shared.persian.alphabet import LETTERS, MARKS, ZWNJ

_CLOSING = "»”’\"')\\]}」』】"
_FULL_STOPS = ".۔।॥"
_END = re.compile(
    f"[.!?؟…!?۔।॥]++[{_CLOSING}]*+(?=\\s|$)"
    f"|[!؟…]++[{_CLOSING}]*+(?=[{LETTERS}«])"  # Persian is often typed without the blank: خوبی؟سلام
    f"|[。!?]++[{_CLOSING}]*+"
)
_BRACKETS = re.compile("[«»“”()\\[\\]]")
_CLOSES = {"»": "«", "”": "“", ")": "(", "]": "["}
_WORD_BEFORE = re.compile("[^\\s«»“”()\\[\\]،؛]{1,24}$")
_NEXT_WORD = re.compile(r"\s*([^\s.،؛!؟?…»]*)")
_ONE_LETTER = re.compile(f"(?:[^\\W\\d_][{MARKS}{ZWNJ}]*[.])*[^\\W\\d_][{MARKS}]*")
_LIST_NUMBER = re.compile(r"\s*[(]?(?:\d{1,3}|[^\W\d_])[.)]?")
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "jr",
        "sr",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "no",
        "nos",
        "vol",
        "fig",
        "pp",
        "ed",
        "eds",
        "al",
        "inc",
        "ltd",
        "co",
        "gen",
        "col",
        "sgt",
        "capt",
        "rev",
        "hon",
        "approx",
        "dept",
        "est",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "a.m",
        "p.m",
        "u.s",
        "u.k",
        "ph.d",
        "دکتر",
        "مهندس",
        "پروفسور",
        "استاد",
        "آیت\u200cالله",
        "ره",
        "رض",
        "عج",
        "ر.ک",
        "رک",
        "ن.ک",
        "نک",
        "صص",
        "ص.ص",
        "الخ",
        "قس",
        "تلفن",
        "شماره",
    ]
)
"""Words whose full stop ends no sentence; single letters and rows of them (ه.ش، ق.م، J. R.) are none either way."""
_GOING_ON = frozenset(
    [
        "گفت",
        "گفتم",
        "گفتند",
        "گفته",
        "می\u200cگوید",
        "پرسید",
        "پرسیدم",
        "پاسخ",
        "جواب",
        "داد",
        "و",
        "که",
        "را",
        "از",
        "به",
        "با",
        "در",
        "است",
        "بود",
        "شد",
    ]
)
"""After a quotation's own end these go on with the sentence around it: «بیا!» گفت."""
_CUTS = (
    re.compile(f"(?:[.!?؟…۔।॥。][{_CLOSING}]*|[؛;:：])(?=\\s)"),
    re.compile("[،,、，](?=\\s)|\\s[-–—](?=\\s)"),
    re.compile(r"(?=\s(?:و|که|یا|اما|ولی|and|but|or|that|which)\s)"),
    re.compile(r"(?=\s)"),
)
"""Where a long sentence is cut, best first."""
_BLANK = re.compile(r"\s")
_SOLID = re.compile(r"\S")
_LEAST_SHARE = 3
"""A cut leaves at least a third of the longest piece, else one comma early on would make a piece of two words."""


def split_sentences(text: str, longest: int = 300) -> list[str]:
    """Sentences without the blanks around them, none longer than `longest` characters but for a longer word.

    A line break always ends a sentence. Nothing but blanks is lost.
    """
    if longest < 1:
        raise ValueError("longest must be at least 1 character")
    return [
        piece
        for line in text.splitlines()
        for sentence in _sentences(line)
        for piece in _pieces(sentence.strip(), longest)
    ]


def _sentences(line: str) -> Iterator[str]:
    start = 0
    is_inside = _Brackets(line)
    for end in _END.finditer(line):
        if is_inside(end.end()) or not _ends_sentence(line, start, end):
            continue
        yield line[start : end.end()]
        start = end.end()
    yield line[start:]


class _Brackets:
    """Tells for growing places of a line whether a quotation or bracket is open there that the line also closes."""

    def __init__(self, line: str) -> None:
        self._spans = iter(_outer_spans(line))
        self._span = next(self._spans, None)

    def __call__(self, place: int) -> bool:
        while self._span is not None and self._span[1] <= place:
            self._span = next(self._spans, None)
        return self._span is not None and self._span[0] < place


def _outer_spans(line: str) -> list[tuple[int, int]]:
    waiting: list[tuple[str, int]] = []
    spans: list[tuple[int, int]] = []
    for found in _BRACKETS.finditer(line):
        bracket = found.group()
        if bracket not in _CLOSES:
            waiting.append((bracket, found.start()))
        elif any(opened == _CLOSES[bracket] for opened, _ in waiting[-4:]):
            while waiting:
                opened, start = waiting.pop()
                if opened == _CLOSES[bracket]:
                    while spans and spans[-1][0] >= start:
                        spans.pop()
                    spans.append((start, found.end()))
                    break
    return spans


def _ends_sentence(line: str, start: int, end: re.Match[str]) -> bool:
    following = _NEXT_WORD.match(line, end.end())
    next_word = following[1] if following else ""
    mark = end.group()
    closed = mark.rstrip("»”’\"')]}」』】") != mark
    if closed and next_word in _GOING_ON:
        return False
    if mark[0] in "!?؟!?。।॥۔":
        return not next_word[:1].islower() or mark[0] in "؟।॥۔。"
    if next_word[:1].islower():
        return False  # an English sentence goes on after an abbreviation or three dots
    return mark[0] == "…" or mark.startswith("..") or not _is_abbreviation(line, start, end.start())


def _is_abbreviation(line: str, start: int, place: int) -> bool:
    if _LIST_NUMBER.fullmatch(line, start, place):
        return True
    found = _WORD_BEFORE.search(line, max(start, place - 24), place)
    if found is None:
        return False
    word = found.group()
    return word.lower() in _ABBREVIATIONS or _ONE_LETTER.fullmatch(word) is not None


def _pieces(sentence: str, longest: int) -> Iterator[str]:
    start = 0
    while len(sentence) - start > longest:
        cut = _cut(sentence, start, longest)
        if cut is None:
            break
        yield sentence[start:cut].strip()
        start = _skip_blanks(sentence, cut)
    if start < len(sentence):
        yield sentence[start:].strip()


def _cut(sentence: str, start: int, longest: int) -> int | None:
    """The last place of the best kind within reach; behind the word at `start` where that alone is too long."""
    until = start + longest
    for least in (longest // _LEAST_SHARE, 0):
        for pattern in _CUTS:
            places = [found.end() for found in pattern.finditer(sentence, start, until + 1) if found.end() <= until]
            if places and places[-1] - start > least:
                return places[-1]
    blank = _BLANK.search(sentence, until)
    return blank.start() if blank else None


def _skip_blanks(sentence: str, place: int) -> int:
    solid = _SOLID.search(sentence, place)
    return solid.start() if solid else len(sentence)
