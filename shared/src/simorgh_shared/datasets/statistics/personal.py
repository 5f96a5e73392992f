"""Finds what belongs to persons in a text: national ids, phone numbers, IBANs, bank cards, e-mail addresses.

Digits may be Persian, Arabic or ASCII, in the groups that people write them in. What is found is shown masked.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from simorgh_shared.datasets.statistics.checksums import IBAN_LENGTHS, is_card, is_iban, is_national_id
from simorgh_shared.schemas.statistics import PersonalKind

LEAST_DIGITS = 10
"""A text with fewer digits holds none of the numbers."""
_ASCII_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
_AREA = "(?:1[137]|2[134568]|3[1458]|4[145]|5[1468]|6[16]|7[1467]|8[13467])"  # of the provinces, after a zero
_GAP = r"[ \-\u2010-\u2015\u00a0\u200c.]"
_NOT_IN_NUMBER = r"(?<![0-9])(?<![0-9]-)"
_END = r"(?!-?[0-9])"
_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", re.ASCII)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ \-]?[A-Za-z0-9]){11,29}(?![A-Za-z0-9])")
_IRANIAN_IBAN = re.compile(rf"(?<![A-Za-z])[Ii][Rr]{_GAP}?[0-9]{{2}}(?:{_GAP}?[0-9]){{22}}(?![0-9])")
_CARD = re.compile(rf"{_NOT_IN_NUMBER}[1-9][0-9]{{3}}(?:{_GAP}?[0-9]{{4}}){{3}}{_END}")
_MOBILE = re.compile(rf"(?<![0-9])(?:(?:\+|00){_GAP}?98{_GAP}?(?:\(0\)|0)?|98|0){_GAP}?9(?:{_GAP}?[0-9]){{9}}(?![0-9])")
_LANDLINE = re.compile(
    rf"(?<![0-9])(?:\(?0{_AREA}\)?|(?:\+|00){_GAP}?98{_GAP}?(?:\(0\)|0)?{_GAP}?{_AREA})"
    rf"{_GAP}{{0,2}}[2-9](?:{_GAP}?[0-9]){{7}}(?![0-9])"
)
_NATIONAL_ID = re.compile(rf"{_NOT_IN_NUMBER}(?:[0-9]{{10}}|[0-9]{{3}}-[0-9]{{6}}-[0-9]){_END}")
_SEPARATORS = re.compile(rf"{_GAP}")


class Found(NamedTuple):
    """Where in a text something stands."""

    kind: PersonalKind
    begin: int
    end: int


class Search(NamedTuple):
    """What a text holds."""

    found: list[Found]
    """In the order of the text; none overlaps another."""
    invalid_ids: list[Found]
    """Ten-digit numbers whose checksum is not that of a national id; none overlaps what was found."""

    def hidden(self) -> list[Found]:
        """What is masked where the text is shown, in its order: an id with one wrong digit still tells whose it is."""
        return sorted([*self.found, *self.invalid_ids], key=lambda one: one.begin)


def search(text: str) -> Search:
    """Everything personal in a text."""
    ascii_text = text.translate(_ASCII_DIGITS)  # one character for one: places stay
    found: list[Found] = []
    for kind, pattern, is_real in _KINDS:
        spans = list(_matches(pattern, ascii_text, is_real))
        found += [Found(kind, begin, end) for begin, end in spans]
        ascii_text = _blanked(ascii_text, spans)
    invalid = [
        Found("national_id", *match.span())
        for match in _NATIONAL_ID.finditer(ascii_text)
        if len(set(match.group())) > 1
    ]
    return Search(sorted(found, key=lambda one: one.begin), invalid)


def masked(text: str, found: list[Found] | None = None) -> str:
    """The text without what is personal or like a national id: only ends of numbers and first letters stay."""
    parts, at = [], 0
    for one in search(text).hidden() if found is None else found:
        parts += [text[at : one.begin], _mask(one.kind, text[one.begin : one.end])]
        at = one.end
    return "".join([*parts, text[at:]])


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """The text without what was found, as long as before."""
    parts, at = [], 0
    for begin, end in spans:
        parts += [text[at:begin], "\0" * (end - begin)]
        at = end
    return "".join([*parts, text[at:]]) if spans else text


def _matches(pattern: re.Pattern[str], text: str, is_real: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        begin, end = match.span()
        if pattern is _IBAN:  # the words after it may look like more of it
            end = _end_of_iban(text, begin, end)
        if end > begin and is_real(_SEPARATORS.sub("", text[begin:end]).upper()):
            yield begin, end


def _end_of_iban(text: str, begin: int, end: int) -> int:
    wanted, num_seen = IBAN_LENGTHS.get(text[begin : begin + 2].upper(), 0), 0
    for place in range(begin, end):
        num_seen += text[place] not in " -"
        if num_seen == wanted:
            return place + 1
    return begin


def _mask(kind: PersonalKind, value: str) -> str:
    if kind == "email":
        name, _, host = value.partition("@")
        return f"{name[0]}•••@•••.{host.rpartition('.')[2]}"
    shown = 2 if kind == "national_id" else 4
    digits = [place for place, char in enumerate(value) if char.isalnum()]
    hidden = set(digits[shown:-2])
    return "".join("•" if place in hidden else char for place, char in enumerate(value))


_KINDS: tuple[tuple[PersonalKind, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("email", _EMAIL, lambda _: True),
    ("iban", _IRANIAN_IBAN, is_iban),
    ("iban", _IBAN, is_iban),
    ("card", _CARD, is_card),
    ("phone", _MOBILE, lambda _: True),
    ("phone", _LANDLINE, lambda _: True),
    ("national_id", _NATIONAL_ID, is_national_id),
)
