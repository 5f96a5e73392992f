"""The table of cases beside this file, row by row."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from simorgh_shared.persian.normaliser import normalise

TABLE = Path(__file__).with_name("normaliser_cases.tsv")


class Case(NamedTuple):
    """One row: what stands in the text, what is to come of it."""

    group: str
    text: str
    expected: str
    why: str


def _read(cell: str) -> str:
    escapes = {"\\n": "\n", "\\r": "\r"}
    cell = cell.replace("|", "\u200c")
    return re.sub(r"\\n|\\r|\\u([0-9a-f]{4})", lambda m: escapes.get(m[0]) or chr(int(m[1], 16)), cell)


def _cases() -> list[Case]:
    cases: list[Case] = []
    group = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            group = line.removeprefix("## ")
        elif line and not line.startswith("# "):
            text, expected, why = line.split("\t")
            cases.append(Case(group, _read(text), _read(text if expected == "=" else expected), why))
    return cases


CASES = _cases()
IDS = [f"{case.group}: {number}" for number, case in enumerate(CASES)]


class TestNormalise:
    @pytest.mark.parametrize("case", CASES, ids=IDS)
    def test_row_of_the_table(self, case):
        """R-FA-1."""
        assert normalise(case.text) == case.expected, case.why
        assert normalise(case.expected) == case.expected

    def test_table_is_large_and_much_of_it_unchanged(self):
        """R-FA-1: what is left untouched is half of the promise."""
        assert len(CASES) >= 150
        assert sum(case.text == case.expected for case in CASES) >= 60
        assert len({case.text for case in CASES}) == len(CASES)
