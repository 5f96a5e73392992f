"""What letters rows are made of: which language that tells, and code points that Persian text should not hold."""

import functools
import unicodedata
from collections import Counter
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from simorgh_shared.datasets.statistics.reading import Batch
from simorgh_shared.datasets.statistics.segments import Codes, Flags, Ints, counts_in, owners_of
from simorgh_shared.persian.alphabet import LETTERS
from simorgh_shared.persian.code_points import BIDI_MARKS, PERSIAN_FROM_ARABIC_DIGITS, fold_letters
from simorgh_shared.schemas.statistics import CodePoint, CodePoints, Language, LanguageShare, Place

_ENOUGH = 0.75  # of a row's letters, to call it after their script
_TABLE_SIZE = 0x10001
_NONE, _SHARED, _PERSIAN, _PERSIAN_ONLY, _ARABIC, _ARABIC_ONLY, _LATIN, _OTHER = range(8)
_LETTERS_OF = {_PERSIAN: "کی", _PERSIAN_ONLY: "پچژگ", _ARABIC: "كيى", _ARABIC_ONLY: "ةأإ"}
_SURE = 4  # so many times does a letter of one language alone count, against a code point that keyboards mix up
_LANGUAGES: tuple[Language, ...] = ("persian", "arabic", "arabic_script", "latin", "other", "mixed", "none")
_PAIRS = (("ي", "ی"), ("ى", "ی"), ("ك", "ک"), *((chr(0x660 + n), chr(0x6F0 + n)) for n in range(10)))
_MOST_CODE_POINTS = 30


class Languages:
    """Counts rows by the language that their letters tell."""

    def __init__(self) -> None:
        self._rows = np.zeros(len(_LANGUAGES), dtype=np.int64)

    def add(self, batch: Batch) -> None:
        """Judge more rows."""
        scripts, letters = _letter_table()[np.minimum(batch.pieces.codes, _TABLE_SIZE - 1)], batch.characters_a_row
        shared, variants, sure, foreign, arabic_only, latin, other = (
            counts_in(scripts == script, letters) for script in range(_SHARED, _OTHER + 1)
        )
        script_letters = shared + variants + sure + foreign + arabic_only
        total = script_letters + latin + other
        persian = variants + _SURE * sure
        # Arabic ye and kaf alone may be Persian from an Arabic keyboard: they tell nothing without a letter that tells.
        arabic = np.where(arabic_only > 0, foreign + _SURE * arabic_only, 0)
        languages = np.select(
            [
                total == 0,
                (script_letters >= _ENOUGH * total) & (persian > arabic),
                (script_letters >= _ENOUGH * total) & (arabic > persian),
                script_letters >= _ENOUGH * total,
                latin >= _ENOUGH * total,
                other >= _ENOUGH * total,
            ],
            [6, 0, 1, 2, 3, 4],
            5,
        )
        self._rows += np.bincount(languages, minlength=len(_LANGUAGES))

    def shares(self) -> list[LanguageShare]:
        """The languages that there are, the most frequent first."""
        total = max(1, int(self._rows.sum()))
        named = zip(_LANGUAGES, self._rows.tolist(), strict=True)
        found = [
            LanguageShare(language=language, rows=rows, share=round(rows / total, 4))
            for language, rows in named
            if rows
        ]
        return sorted(found, key=lambda one: -one.rows)


class ForeignCodePoints:
    """Counts code points in place of which Persian text has others."""

    def __init__(self, most_shown: int) -> None:
        self._most_shown = most_shown
        self._counts: Counter[int] = Counter()
        self._rows: Counter[int] = Counter()
        self._places: dict[int, list[Place]] = {}
        self._num_rows = 0
        self._num_mixed = 0
        self._mixed: list[Place] = []

    def add(self, batch: Batch) -> None:
        """Look at more rows."""
        codes = batch.pieces.codes
        at = np.flatnonzero(_foreign_table()[np.minimum(codes, _TABLE_SIZE - 1)])
        if not len(at):
            return
        rows = owners_of(batch.characters_a_row)
        found = np.unique(np.stack((codes[at].astype(np.int64), rows[at])), axis=1, return_counts=True)
        for (code, row), count in zip(found[0].T.tolist(), found[1].tolist(), strict=True):
            self._counts[code] += count
            self._rows[code] += 1
            places = self._places.setdefault(code, [])
            if len(places) < self._most_shown:
                places.append(batch.place(row))
        touched = np.unique(rows[at])
        self._num_rows += len(touched)
        self._add_mixed(batch, touched, codes, rows)

    def _add_mixed(self, batch: Batch, touched: Ints, codes: Codes, rows: Ints) -> None:
        begins = np.searchsorted(rows, touched)
        ends = np.searchsorted(rows, touched, side="right")
        for row, begin, end in zip(touched.tolist(), begins.tolist(), ends.tolist(), strict=True):
            held = set(codes[begin:end].tolist())
            if any(ord(arabic) in held and ord(persian) in held for arabic, persian in _PAIRS):
                self._num_mixed += 1
                if len(self._mixed) < self._most_shown:
                    self._mixed.append(batch.place(row))

    def found(self) -> CodePoints:
        """What there is, the most frequent first."""
        most = self._counts.most_common(_MOST_CODE_POINTS)
        return CodePoints(
            num_rows=self._num_rows,
            num_mixed_rows=self._num_mixed,
            mixed=self._mixed,
            code_points=[self._code_point(code, count) for code, count in most],
        )

    def _code_point(self, code: int, count: int) -> CodePoint:
        return CodePoint(
            code_point=f"U+{code:04X}",
            name=unicodedata.name(chr(code), "unnamed"),
            becomes=fold_letters(chr(code)).translate(PERSIAN_FROM_ARABIC_DIGITS),
            count=count,
            rows=self._rows[code],
            places=self._places[code],
        )


@functools.cache
def _letter_table() -> npt.NDArray[np.uint8]:
    table = np.full(_TABLE_SIZE, _NONE, dtype=np.uint8)
    for code in range(_TABLE_SIZE - 1):
        if chr(code).isalpha():
            table[code] = _LATIN if unicodedata.name(chr(code), "").startswith("LATIN") else _OTHER
    _set(table, _class_members(LETTERS), _SHARED)
    for script, letters in _LETTERS_OF.items():
        _set(table, letters, script)
    return table


def _class_members(inside: str) -> Iterable[str]:
    """The characters of a regular expression's brackets."""
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-":
            yield from map(chr, range(ord(inside[at]), ord(inside[at + 2]) + 1))
            at += 3
        else:
            yield inside[at]
            at += 1


def _set(table: npt.NDArray[np.uint8], characters: Iterable[str], script: int) -> None:
    table[[ord(character) for character in characters]] = script


@functools.cache
def _foreign_table() -> Flags:
    table = np.zeros(_TABLE_SIZE, dtype=np.bool_)
    ranges = ((0x600, 0x700), (0x750, 0x780), (0x8A0, 0x900), (0xFB50, 0xFE00), (0xFE70, 0xFEFD))
    for code in (code for begin, end in ranges for code in range(begin, end)):
        char = chr(code)
        table[code] = fold_letters(char).translate(PERSIAN_FROM_ARABIC_DIGITS) != char
    table[[ord(mark) for mark in BIDI_MARKS]] = True
    table[0x10000:] = False
    return table
