"""Reads a table that stands in a module as running text: entries with a Persian comma between, key first."""

import re
from collections.abc import Iterable


def table(text: str) -> dict[str, str]:
    """`google گوگل، windows ویندوز` as a dictionary; what follows the first blank of an entry is its value."""
    entries = [" ".join(entry.split()) for entry in text.split("،")]
    return {key: value for key, _, value in (entry.partition(" ") for entry in entries) if value}


def words(text: str) -> list[str]:
    """Words with blanks between."""
    return text.split()


def any_of(keys: Iterable[str]) -> str:
    """An alternation that tries longer keys first."""
    return "|".join(re.escape(key) for key in sorted(keys, key=len, reverse=True))
