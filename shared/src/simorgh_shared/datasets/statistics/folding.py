"""Brings many texts at once to the two forms in which they are compared, as arrays of code points.

`plain` is `normalise_code_points` (a run of ZWNJ counts as one), `key` is `comparison_key`. Tables do it for the
texts in which a character becomes what it becomes wherever it stands; the others go through these functions.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from simorgh_shared.datasets.statistics.segments import Codes, Flags, Ints, counts_in, owners_of
from simorgh_shared.persian.code_points import (
    PERSIAN_FROM_ARABIC_DIGITS,
    ZWNJ,
    comparison_key,
    fold_letters,
    normalise_code_points,
)

_TABLE_SIZE = 0x1FB00
_EMOJI = (0x1F300, 0x1FB00)  # no letters or digits among them, and nothing that composes
_SPACE = 0x20
_SAFE_MARKS = re.compile("[\u0610-\u061a\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed]")
_HANGUL_JAMO = (0x1100, 0x1200)  # these compose with each other


@dataclass(frozen=True)
class Pieces:
    """Texts one after the other, as code points."""

    codes: Codes
    lengths: Ints


@dataclass(frozen=True)
class Folded:
    """Texts in the forms in which they are compared."""

    plain: Pieces
    """For what counts as the same text: letters, marks and single spaces."""
    key: Pieces
    """For what counts as the same sentence: letters and digits alone."""


@dataclass(frozen=True)
class _Tables:
    plain: Codes
    key: Codes
    is_context_bound: Flags
    is_mark: Flags


def pieces_of(texts: list[str]) -> Pieces:
    """The code points of texts."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return Pieces(codes, np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))


def fold(texts: list[str], raw: Pieces) -> Folded:
    """Both forms of these texts; `raw` are their code points."""
    tables = _tables()
    slow = _context_bound(raw, tables)
    if not len(slow):
        return Folded(_plain(raw, tables), _mapped(raw, tables.key))
    plain, key = list(texts), list(texts)
    for index in slow.tolist():
        plain[index] = normalise_code_points(texts[index])
        key[index] = comparison_key(texts[index])
    return Folded(_plain(pieces_of(plain), tables), _mapped(pieces_of(key), tables.key))


def _context_bound(raw: Pieces, tables: _Tables) -> Ints:
    """Texts with a character that the tables cannot take by itself."""
    within = np.minimum(raw.codes, _TABLE_SIZE - 1)
    found: Flags = tables.is_context_bound[within]
    dropped = tables.plain[within] == 0  # it may stand between two that then meet
    pairs = tables.is_mark[within] | dropped  # marks in a row are put in order
    joint = (raw.codes == ord(ZWNJ)) | dropped  # beside a space a ZWNJ goes
    gap = joint | (tables.plain[within] == _SPACE)
    found[1:] |= (pairs[1:] & pairs[:-1]) | (gap[1:] & gap[:-1] & (joint[1:] | joint[:-1]))
    return np.flatnonzero(counts_in(found, raw.lengths)) if found.any() else np.empty(0, dtype=np.int64)


def _mapped(raw: Pieces, table: Codes) -> Pieces:
    codes = table[np.minimum(raw.codes, _TABLE_SIZE - 1)]
    beyond = raw.codes >= _TABLE_SIZE - 1
    if beyond.any():  # of a text that was folded before
        codes[beyond] = raw.codes[beyond]
    kept = codes != 0
    return Pieces(codes[kept], counts_in(kept, raw.lengths))


def _plain(raw: Pieces, tables: _Tables) -> Pieces:
    mapped = _mapped(raw, tables.plain)
    last_of_run = _without(mapped, _gaps(mapped) & _before_gap_or_end(mapped))
    return _without(last_of_run, _gaps(last_of_run) & _at_start(last_of_run))


def _gaps(pieces: Pieces) -> Flags:
    found: Flags = (pieces.codes == _SPACE) | (pieces.codes == ord(ZWNJ))
    return found


def _before_gap_or_end(pieces: Pieces) -> Flags:
    found = np.ones(len(pieces.codes), dtype=np.bool_)
    owners = owners_of(pieces.lengths)
    found[:-1] = _gaps(pieces)[1:] | (owners[1:] != owners[:-1])
    return found


def _at_start(pieces: Pieces) -> Flags:
    found = np.zeros(len(pieces.codes), dtype=np.bool_)
    ends = np.cumsum(pieces.lengths)
    found[(ends - pieces.lengths)[pieces.lengths > 0]] = True
    return found


def _without(pieces: Pieces, dropped: Flags) -> Pieces:
    return Pieces(pieces.codes[~dropped], pieces.lengths - counts_in(dropped, pieces.lengths))


@functools.cache
def _tables() -> _Tables:
    plain, key = np.arange(_TABLE_SIZE, dtype=np.uint32), np.zeros(_TABLE_SIZE, dtype=np.uint32)
    is_context_bound, is_mark = np.zeros(_TABLE_SIZE, dtype=np.bool_), np.zeros(_TABLE_SIZE, dtype=np.bool_)
    for code in range(0x10000):
        char = chr(code)
        folded, letters = fold_letters(char).translate(PERSIAN_FROM_ARABIC_DIGITS), comparison_key(char)
        is_mark[code] = unicodedata.combining(char) != 0
        is_context_bound[code] = (
            len(folded) > 1
            or len(letters) > 1
            or (unicodedata.category(char)[0] == "M" and not _SAFE_MARKS.match(char))
            or _HANGUL_JAMO[0] <= code < _HANGUL_JAMO[1]
        )
        plain[code] = _SPACE if char.isspace() else ord(folded[:1] or "\0")
        key[code] = ord(letters[:1] or "\0")
    is_context_bound[0x10000:] = True
    key[0x10000 : _EMOJI[0]] = plain[0x10000 : _EMOJI[0]]
    is_context_bound[_EMOJI[0] : _EMOJI[1] - 1] = False  # the last place stands for everything beyond the table
    return _Tables(plain, key, is_context_bound, is_mark)
