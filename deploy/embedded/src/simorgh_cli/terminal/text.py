"""Owns text as a terminal takes it: no control characters, cut and padded by width, never inside a character."""

import unicodedata
from collections.abc import Sequence

import wcwidth

_ELLIPSIS = "…"
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""An override that somebody left open in a name would turn the rest of the line around."""


def printable(text: str, *, keep: str = "") -> str:
    """Text of others' without what would move the cursor, change colours or turn the line around."""
    return "".join(
        character if character in keep or not _acts(character) else " " if character in "\n\r\t" else ""
        for character in text
    )


def width(text: str) -> int:
    """How many cells of a terminal it takes."""
    return max(0, wcwidth.width(text))


def cut(text: str, cells: int) -> str:
    """The text within so many cells; an ellipsis says that there is more."""
    if width(text) <= cells:
        return text
    kept: list[str] = []
    room = cells - width(_ELLIPSIS)
    for grapheme in wcwidth.iter_graphemes(text):
        room -= width(grapheme)
        if room < 0:
            break
        kept.append(grapheme)
    return "".join(kept) + _ELLIPSIS


def whole(text: str) -> str:
    """An argument that held bytes which are no text, without them: nothing could send it."""
    return text.encode("utf-8", "replace").decode()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], cells: int | None = None) -> list[str]:
    """Lines in columns. The last column is cut to `cells`; the others, ids and numbers, are always whole.

    Free text belongs into the last column: on terminals that order right-to-left text it moves nothing else.
    """
    shown = [header, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(width(row[column]) for row in shown) for column in range(len(header) - 1)]
    before_last = sum(widths) + 2 * len(widths)
    lines = []
    for row in shown:
        padded = [cell + " " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=False)]
        last = row[-1] if cells is None else cut(row[-1], max(8, cells - before_last))
        lines.append("  ".join([*padded, last]).rstrip())
    return lines


def _acts(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
