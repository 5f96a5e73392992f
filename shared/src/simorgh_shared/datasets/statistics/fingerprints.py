"""Hashes of texts, and MinHash signatures of rows over letter trigrams, many rows at once.

Source: Broder, On the resemblance and containment of documents (1997); bands as in Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, section 3.4.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simorgh_shared.datasets.statistics.folding import Pieces
from simorgh_shared.datasets.statistics.segments import (
    Codes,
    Ints,
    Words,
    minima_in,
    owners_of,
    places_in,
    starts_of,
    sums_in,
)

SHINGLE_LETTERS = 3
NUM_BANDS = 12
ROWS_A_BAND = 4
"""Two rows of similarity s meet in a band with 1 - (1 - s⁴)¹²: 99.0 % at 0.75, 99.8 % at 0.8, 54 % at 0.5."""
NUM_HASHES = NUM_BANDS * ROWS_A_BAND
_SEED = 20_240_917
_BLOCK = 1 << 16  # shingles at a time: what is computed 48 times stays in the processor's cache
_ONE, _TWO = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)


def text_hashes(pieces: Pieces) -> Words:
    """A 64-bit hash of each text: equal texts have equal ones, different ones almost never (10⁻⁴ at 50 million)."""
    places = places_in(pieces.lengths).astype(np.uint64)
    mixed = _mix(pieces.codes.astype(np.uint64) | (places << np.uint64(32)))
    return _mix(sums_in(mixed, pieces.lengths) + pieces.lengths.astype(np.uint64))


def row_hashes(hashes: Words, parts: Ints, texts_a_row: Ints) -> Words:
    """A hash of each row from those of its texts, in their order; `parts` tells a question from an answer."""
    salt = (places_in(texts_a_row) * 8 + parts).astype(np.uint64)
    return sums_in(_mix(hashes ^ (salt * _ONE)), texts_a_row)


@dataclass(frozen=True)
class Signatures:
    """What is kept of the MinHash signatures of rows."""

    bands: npt.NDArray[np.uint64]
    """Rows with an equal one are looked at. Shape: (rows, NUM_BANDS)."""
    bytes: npt.NDArray[np.uint8]
    """One byte of each hash; the share of equal ones estimates the similarity. Shape: (rows, NUM_HASHES)."""


def signatures(keys: Pieces, parts: Ints, texts_a_row: Ints) -> Signatures:
    """The signatures of rows, over the trigrams of all their texts; `parts` tells a question from an answer."""
    shingles, lengths = _shingles(keys, parts)
    lengths_of_rows = sums_in(lengths.astype(np.uint64), texts_a_row).astype(np.int64)
    signature = _signature(shingles, lengths_of_rows)
    bands = np.zeros((len(texts_a_row), NUM_BANDS), dtype=np.uint64)
    for place in range(ROWS_A_BAND):
        bands = _mix(bands * _TWO + signature[:, place::ROWS_A_BAND])
    return Signatures(bands, (signature >> np.uint32(8)).astype(np.uint8))


def _shingles(keys: Pieces, parts: Ints) -> tuple[Codes, Ints]:
    """Each run of three letters as a hash, text by text; a shorter text is one run."""
    lengths = np.maximum(keys.lengths - (SHINGLE_LETTERS - 1), 1)
    padded = np.zeros(int(keys.lengths.sum()) + SHINGLE_LETTERS * len(keys.lengths), dtype=np.uint64)
    begins = starts_of(keys.lengths + SHINGLE_LETTERS)
    padded[places_in(keys.lengths) + np.repeat(begins, keys.lengths)] = keys.codes
    at = places_in(lengths) + np.repeat(begins, lengths)
    part = parts.astype(np.uint64)[owners_of(lengths)]
    # 21 bits hold any code point.
    joined = padded[at] | (padded[at + 1] << np.uint64(21)) | (padded[at + 2] << np.uint64(42))
    return (_mix(joined + part * _ONE) >> np.uint64(32)).astype(np.uint32), lengths


def _signature(shingles: Codes, lengths: Ints) -> Codes:
    """The least value of each of 48 hash functions over each row's shingles. Shape: (rows, 48)."""
    random = np.random.default_rng(_SEED)
    factors = random.integers(0, 1 << 31, NUM_HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    terms = random.integers(0, 1 << 32, NUM_HASHES, dtype=np.uint32)
    signature = np.empty((len(lengths), NUM_HASHES), dtype=np.uint32)
    ends = np.cumsum(lengths)
    first = 0
    while first < len(lengths):
        begin = int(ends[first] - lengths[first])
        last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK, side="right")))
        block, parts = shingles[begin : int(ends[last - 1])], lengths[first:last]
        for number in range(NUM_HASHES):
            signature[first:last, number] = minima_in(block * factors[number] + terms[number], parts)
        first = last
    return signature


def _mix(words: Words) -> Words:
    """The finaliser of SplitMix64: each bit of the result depends on all bits of the word."""
    mixed = (words ^ (words >> np.uint64(30))) * _TWO
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
