"""How alike two rows are, exactly: the Jaccard similarity of letter trigrams, of the field in which it is least."""

from collections.abc import Sequence

from simorgh_shared.datasets.split import sentence_key
from simorgh_shared.datasets.statistics.fingerprints import SHINGLE_LETTERS
from simorgh_shared.datasets.statistics.reading import FIELDS, NOT_COMPARED, PART_OF_FIELD, Field

THRESHOLD = 0.75
"""A word more in a sentence of four, or one with another ending: what a reader calls the same."""
Shingles = tuple[frozenset[str], ...]
"""The trigrams of each part of a row that is compared."""
_PART = {name: int(PART_OF_FIELD[number]) for number, name in enumerate(FIELDS)}


def shingles_of(fields: Sequence[Field]) -> Shingles:
    """The trigrams of a row, part by part; a text with fewer letters is one."""
    parts: list[set[str]] = [set() for _ in range(NOT_COMPARED)]
    for field, text in fields:
        if _PART[field] != NOT_COMPARED:
            parts[_PART[field]] |= trigrams(sentence_key(text))
    return tuple(map(frozenset, parts))


def trigrams(key: str) -> set[str]:
    """Each run of three letters."""
    last = max(1, len(key) - SHINGLE_LETTERS + 1)
    return {key[begin : begin + SHINGLE_LETTERS] for begin in range(last)}


def similarity(one: Shingles, other: Shingles) -> float:
    """From 0 to 1: how alike two rows are in the part in which they are least alike."""
    return min(map(jaccard, one, other))


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of what both hold in what either holds; 1 for two empty sets."""
    both = len(one & other)
    either = len(one) + len(other) - both
    return both / either if either else 1.0
