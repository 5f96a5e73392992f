"""Spans that a normaliser must not touch, hidden behind one sign each and put back afterwards.

The signs are Unicode noncharacters, so that rules for the text around a span can name it in a pattern. A text that
holds such a noncharacter gets it back unchanged.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from simorgh_shared.persian.alphabet import ARABIC_SCRIPT, DIGITS, FOREIGN_LETTERS, LETTERS, MARKS, ZWNJ
from simorgh_shared.persian.code_points import BIDI_MARKS

CODE = "\ufdd0"
WORD = "\ufdd1"
"""An address, a @name, a #tag or a run of Latin text."""
NUMBER = "\ufdd2"
"""A time, date, decimal, thousands, version, range or telephone number."""
PICTURE = "\ufdd3"
"""An emoticon or a keycap."""
SIGNS = CODE + WORD + NUMBER + PICTURE

_TICKS = re.compile(f"`++|[{SIGNS}]")
_ADDRESS_CHARACTER = f'[^\\s<>«»"،؛`{SIGNS}]'
_ADDRESS = f'{_ADDRESS_CHARACTER}*[^\\s<>«»"،؛`{SIGNS}.,:;!?؟…)\\]}}]'
_FOREIGN_TAIL = f"(?:[-+./_:]?[0-9]++)*+(?:[ ][0-9]++(?![{DIGITS}.,:/٫٬-]))?+[+#]*+"
_DIGIT = "[0-9۰-۹]"
_INSIDE = "[.:/٫٬,،'’]"
_NOT_CODE = re.compile(
    rf"(?![{LETTERS}])(?:"  # no span begins with a Persian letter; saying so first saves a third of the time
    # A line without one letter of the Arabic script is none of ours; blanks at its end are.
    rf"^(?P<line>(?=[^{ARABIC_SCRIPT}\n]*+$)[^{FOREIGN_LETTERS}\n]*+[{FOREIGN_LETTERS}](?:[^\S\n]*+[^\s]++)*+)"
    # Bounded, else a long row of labels or of one letter takes quadratic time.
    rf"|(?P<address>(?<![\w.+-])(?:[a-z][a-z0-9+.-]{{1,15}}://|www\.){_ADDRESS}(?:\([^\s()]*+\))?+"
    rf"|(?<![\w.+-])[a-z0-9_.+-]{{1,64}}@[\w-]++(?:\.[\w-]++)++"
    rf"|(?<![\w.-])(?:[a-z0-9-]{{1,63}}\.){{1,8}}[a-z]{{2,24}}/(?:{_ADDRESS})?"
    rf"|(?<!\w)@\w++(?:\.\w++)*+"
    rf"|(?<![\w&#])\#\w++(?:[{ZWNJ}{MARKS}]++\w++)*+)"
    rf"|(?P<picture>[0-9#*]\ufe0f?\u20e3"
    rf"|[:;=؛]['’-]?(?:[DPp](?!\w)|[()\[\]|*\\/]++(?!\w))"
    rf"|(?<!\S)\(++[:;](?!\S))"
    rf"|(?P<foreign>(?:(?<!\S)[.]|(?<![0-9])[0-9]++(?:[.,][0-9]++)*+)?+[{FOREIGN_LETTERS}]"
    rf"(?:[^{ARABIC_SCRIPT}\n{ZWNJ}]*[{FOREIGN_LETTERS}])?{_FOREIGN_TAIL})"
    # 70-85 is a plain range and may have its digits changed; 2020-01-15 may not.
    rf"|(?P<number>(?<!{_DIGIT}){_DIGIT}++(?:(?:[-–]{_DIGIT}++){{2}}|(?:[-–]{_DIGIT}++)?+{_INSIDE}{_DIGIT}++)"
    rf"(?:(?:[-–]|{_INSIDE}){_DIGIT}++)*+))",
    re.MULTILINE | re.IGNORECASE,
)
_SIGN_OF_GROUP = {"line": WORD, "address": WORD, "foreign": WORD, "picture": PICTURE, "number": NUMBER}
_BIDI = re.compile(f"(?<![`{BIDI_MARKS}])[{BIDI_MARKS}]++|[{BIDI_MARKS}]++(?!`)")
_ANY_SPAN = re.compile(f"[{WORD}{NUMBER}{PICTURE}]")
_ANY_CODE = re.compile(CODE)


class Hidden(NamedTuple):
    """A text whose protected spans are signs, with the spans in their order."""

    text: str
    codes: list[str]
    spans: list[str]

    def restore(self, text: str) -> str:
        """`text` with its spans put back; the signs in it must be those of this one, in the same order."""
        spans, codes = iter(self.spans), iter(self.codes)
        return _ANY_CODE.sub(lambda _: next(codes), _ANY_SPAN.sub(lambda _: next(spans), text))


def hide(text: str) -> Hidden:
    """Hide code, then the other spans; bidi marks go from all but code.

    Source: RFC 3987, 4.1, which forbids them in addresses too.
    """
    codes: list[str] = []
    parts: list[str] = []
    end = 0
    for start, stop in _code_spans(text):
        parts += (text[end:start], CODE)
        codes.append(text[start:stop])
        end = stop
    parts.append(text[end:])
    without_code = _BIDI.sub("", "".join(parts))
    spans: list[str] = []

    def hide_span(match: re.Match[str]) -> str:
        assert match.lastgroup is not None
        spans.append(match.group())
        return _SIGN_OF_GROUP[match.lastgroup]

    return Hidden(_NOT_CODE.sub(hide_span, without_code), codes, spans)


def _code_spans(text: str) -> Iterator[tuple[int, int]]:
    """Code in a line, fenced code (a cut-off one runs to the end) and signs that the text itself holds.

    A row of backticks ends at the next row of its length, in the same line for one or two. Looked up, not searched:
    a text of many rows that nothing ends would take quadratic time.
    """
    rows = [match.span() for match in _TICKS.finditer(text)]
    closing = _closing_rows(text, rows)
    index = 0
    while index < len(rows):
        start, stop = rows[index]
        if text[start] != "`":
            yield start, stop
        elif closing[index] is not None:
            index = closing[index] or index
            yield start, rows[index][1]
        elif stop - start >= 3:
            yield start, len(text)
            return
        index += 1


def _closing_rows(text: str, rows: list[tuple[int, int]]) -> list[int | None]:
    closing: list[int | None] = [None] * len(rows)
    next_of_length: dict[int, int] = {}
    for index in range(len(rows) - 1, -1, -1):
        start, stop = rows[index]
        if text[start] != "`":
            continue
        num_ticks = stop - start
        found = next_of_length.get(num_ticks)
        if found is not None and (num_ticks >= 3 or "\n" not in text[stop : rows[found][0]]):
            closing[index] = found
        next_of_length[num_ticks] = index
    return closing
