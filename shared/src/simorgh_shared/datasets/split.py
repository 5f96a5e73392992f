"""The deterministic train/test split: rows that share a question or an answer never part."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from simorgh_shared.datasets.rows import AudioRow, MessagesRow, PreferenceRow, QaRow, Row, TextRow
from simorgh_shared.persian.code_points import comparison_key

RowT = TypeVar("RowT", bound=Row)

LARGEST_TEST_SHARE = 0.05
"""A group above this share of all wanted rows stays in train: one group must not be the whole test."""


class Split(NamedTuple):
    """Indexes of rows, each part in the order of the file."""

    train: list[int]
    test: list[int]


def row_keys(row: Row) -> list[str]:
    """What of a row must not stand on both sides."""
    if isinstance(row, QaRow):
        values = [row.question, row.answer]
    elif isinstance(row, TextRow | AudioRow):
        values = [row.text]
    elif isinstance(row, PreferenceRow):
        values = [row.prompt, row.chosen, row.rejected]
    else:
        assert isinstance(row, MessagesRow)
        values = [turn.content for turn in row.messages if turn.role in ("user", "assistant")]
    return [sentence_key(value) for value in values]


def sentence_key(text: str) -> str:
    """What a sentence is known by after normalisation: its letters and digits; without any, the sentence itself."""
    return comparison_key(text) or f" {text.strip()}"


def group_rows(keys_of_rows: Sequence[Sequence[str]]) -> list[list[int]]:
    """Indexes of rows by group: rows that share a key, directly or through others (union-find)."""
    parents: dict[str, str] = {}

    def root_of(key: str) -> str:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for keys in keys_of_rows:
        for key in keys:
            parents[root_of(key)] = root_of(keys[0])
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, keys in enumerate(keys_of_rows):
        groups[root_of(keys[0])].append(index)
    return list(groups.values())


def split_indexes(
    keys_of_rows: Sequence[Sequence[str]], fraction: float, seed: int | str, largest: int | None = None
) -> Split:
    """Whole groups in the order of a hash make up about `fraction` of the rows as test.

    The order depends on the sentences and the seed only, never on the order of the rows. `largest` is the
    most rows of a group that may be test. Raises: ValueError for a fraction outside 0 to 1.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is {fraction}, but must be at least 0 and below 1")
    wanted = fraction * len(keys_of_rows)
    limit = largest if largest is not None else max(1, int(wanted * LARGEST_TEST_SHARE))

    def rank(group: list[int]) -> str:
        first = min(keys_of_rows[index][0] for index in group)
        return hashlib.sha256(f"{seed}{first}".encode()).hexdigest()

    test: list[int] = []
    for group in sorted(group_rows(keys_of_rows), key=rank):
        if len(test) >= wanted:
            break
        if len(group) <= limit:
            test += group
    in_test = set(test)
    return Split([index for index in range(len(keys_of_rows)) if index not in in_test], sorted(test))


def split_rows(rows: Sequence[RowT], fraction: float, seed: int = 0) -> tuple[list[RowT], list[RowT]]:
    """Train and test rows, each in their order (R-DATA-6)."""
    split = split_indexes([row_keys(row) for row in rows], fraction, seed)
    return [rows[index] for index in split.train], [rows[index] for index in split.test]
