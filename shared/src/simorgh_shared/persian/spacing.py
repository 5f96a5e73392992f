"""Where ZWNJ, blanks and punctuation stand in Persian text whose protected spans are hidden; no affix is joined."""

import re
from collections.abc import Iterator

from simorgh_shared.persian.alphabet import LETTERS, MARKS, NON_JOINING, WORD, ZWJ, ZWNJ
from simorgh_shared.persian.lexicon import LETTER_NAMES
from simorgh_shared.persian.protected import CODE, NUMBER
from simorgh_shared.persian.protected import WORD as WORD_SIGN

_ONE_LETTER = f"[{LETTERS}{MARKS}]"
_LETTER = re.compile(_ONE_LETTER)
_SOLID = f"{LETTERS}{MARKS}\\d{CODE}{WORD_SIGN}{NUMBER}"
"""What a punctuation mark leans on."""
_JOINED = f"\\w{MARKS}{ZWJ}{CODE}{WORD_SIGN}{NUMBER}"
_ZWNJ_BETWEEN_NOTHING = re.compile(f"(?<![{_JOINED}{ZWNJ}]){ZWNJ}++|(?<!{ZWNJ}){ZWNJ}++(?![{_JOINED}])")
_ZWNJ_REPEATED = re.compile(f"{ZWNJ}{{2,}}+")
_ZWNJ_UNSEEN = re.compile(f"([{NON_JOINING}][{MARKS}]*+){ZWNJ}")
_BLANKS = re.compile(r"(?<![^\S\n])(?:[^\S\n]{2,}+|[^\S\n ]|[^\S\n](?=\n))")

_BLANK_BEFORE_MARK = re.compile(
    f"(?<=[{_SOLID}»)\\]]) (?=[،؛؟,;]|[!?](?!=)"
    r"|\.(?![.\d" + NUMBER + "])"  # dots in a row may stand for a word that is left out, and keep their blank
    f"|(?<![\\d{NUMBER}] ):(?![:)(/]))"  # ۲ : ۳ is a ratio
)
_NO_LETTER_NAME = "".join(  # a lookbehind has one length
    f"(?<!(?<!{_ONE_LETTER})(?:{'|'.join(sorted(name for name in LETTER_NAMES if len(name) == length))}))"
    for length in sorted({len(name) for name in LETTER_NAMES})
)
_BLANK_ON_THE_WRONG_SIDE = re.compile(f"(?<=[\\d{NUMBER}]) ([،؛])(?=[\\d{NUMBER}])")
_MARK_WITHOUT_BLANK = re.compile(
    f"(?<=[{_SOLID}»)\\]])(?:؛|،(?!(?<=\\d،)\\d)|[!?؟…]++)(?=[{_SOLID}«])"
    f"|(?<=[{_SOLID}»)]):(?=[{LETTERS}\\d{NUMBER}«])(?<!\\d:)"
    f"|(?<=[\\d{NUMBER}]):(?=[{LETTERS}])"
    f"|(?<={_ONE_LETTER}),(?={_ONE_LETTER})|(?<={_ONE_LETTER});(?={_ONE_LETTER})"
    # A full stop at a single letter, or one's name, is an abbreviation's: ه.ش، ان.بی.ای
    f"|(?<={_ONE_LETTER}{_ONE_LETTER}){_NO_LETTER_NAME}\\.(?={_ONE_LETTER}{_ONE_LETTER}|«)"
    f"|(?<=[\\d{NUMBER}»)])\\.(?={_ONE_LETTER}{_ONE_LETTER})"
    f"|(?<={_ONE_LETTER})\\.{{2,}}+(?={_ONE_LETTER})"
)
_BRACKET = re.compile(r"[()«»\[\]\n]")
_OPENING_OF = {")": "(", "»": "«", "]": "["}
_ENDING = re.compile(f"{ZWNJ}?(?:ها|های|هایی|ای|ی|ام|اش|ات|م|ش|ت|ان|یان|گان|ست|اند|مان|تان|شان|تر|ترین)(?![{WORD}])")


def clean_zwnj(text: str) -> str:
    """One ZWNJ, and only where it keeps apart two letters that would join: not at a word's end, not after و or ر."""
    text = _ZWNJ_REPEATED.sub(ZWNJ, _ZWNJ_BETWEEN_NOTHING.sub("", text))
    return _ZWNJ_UNSEEN.sub(r"\1", text)


def clean_blanks(text: str) -> str:
    """Single spaces; line breaks and the indentation of a line stay, blanks at the end of a line go."""
    return _BLANKS.sub(_mended_blanks, text.replace("\r\n", "\n")).strip()


def space_punctuation(text: str) -> str:
    """Marks lean on the word before them and are followed by a blank; brackets and quotes lean on what they hold."""
    text = _BLANK_ON_THE_WRONG_SIDE.sub(r"\1 ", text)
    text = _MARK_WITHOUT_BLANK.sub(r"\g<0> ", _BLANK_BEFORE_MARK.sub("", text))
    edits = sorted(_bracket_edits(text))
    if not edits:
        return text
    parts: list[str] = []
    end = 0
    for start, stop, new in edits:
        if start >= end:  # the blank in « » is asked for by both
            parts += (text[end:start], new)
            end = stop
    return "".join((*parts, text[end:]))


def _mended_blanks(run: re.Match[str]) -> str:
    text, start, stop = run.string, run.start(), run.end()
    if stop == len(text) or text[stop] == "\n":
        return ""
    return run.group() if start == 0 or text[start - 1] == "\n" else " "


def _bracket_edits(text: str) -> Iterator[tuple[int, int, str]]:
    """Changes (start, stop, new text) around each pair that opens and ends in one line."""
    waiting: list[int] = []
    for match in _BRACKET.finditer(text):
        bracket, place = match.group(), match.start()
        if bracket == "\n":
            waiting.clear()
        elif bracket not in _OPENING_OF:
            waiting.append(place)
        elif waiting and text[waiting[-1]] == _OPENING_OF[bracket]:
            yield from _pair_edits(text, waiting.pop(), place)
        else:
            waiting.clear()  # a smile or a list's ۱) : what was open is not known any more


def _pair_edits(text: str, opening: int, closing: int) -> Iterator[tuple[int, int, str]]:
    if text[opening + 1] == " ":
        yield opening + 1, opening + 2, ""
    if text[closing - 1] == " ":
        yield closing - 1, closing, ""
    inside = text[opening + 1 : min(closing, opening + 12)].strip()
    if text[opening] == "[" or (text[opening] == "(" and (len(inside) < 3 or _ENDING.fullmatch(inside))):
        return  # footnotes and links, علی(ع), دانشجو(یان), کتاب(ها)
    if opening and _LETTER.fullmatch(text[opening - 1]):
        yield opening, opening, " "
    if closing + 1 < len(text) and _LETTER.fullmatch(text[closing + 1]) and not _ENDING.match(text, closing + 1):
        yield closing + 1, closing + 1, " "
