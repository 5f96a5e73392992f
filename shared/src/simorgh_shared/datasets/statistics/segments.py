"""Sums and minima over the parts of one long array, where a part may be empty."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


def starts_of(lengths: Ints) -> Ints:
    """Where each part begins, when parts follow each other."""
    return np.cumsum(lengths) - lengths


def owners_of(lengths: Ints) -> Ints:
    """Of each element the part that it is in."""
    return np.repeat(np.arange(len(lengths)), lengths)


def places_in(lengths: Ints) -> Ints:
    """Of each element its place within its part, from 0."""
    return np.arange(int(lengths.sum())) - np.repeat(starts_of(lengths), lengths)


def counts_in(flags: Flags, lengths: Ints) -> Ints:
    """How many elements of each part are flagged."""
    found = np.zeros(len(lengths), dtype=np.int64)
    return _reduce(np.add, flags, lengths, found)


def sums_in(words: Words, lengths: Ints) -> Words:
    """The sum of each part, modulo 2⁶⁴."""
    found = np.zeros(len(lengths), dtype=np.uint64)
    return _reduce(np.add, words, lengths, found)


def minima_in(codes: Codes, lengths: Ints) -> Codes:
    """The least element of each part; of an empty part the largest number."""
    found = np.full(len(lengths), np.iinfo(np.uint32).max, dtype=np.uint32)
    return _reduce(np.minimum, codes, lengths, found)


def _reduce(how: np.ufunc, values: npt.NDArray[Any], lengths: Ints, found: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Reduce each part into `found`, which holds what an empty part comes to."""
    filled = lengths > 0
    if filled.any():  # reduceat gives an empty part its successor's first element
        found[filled] = how.reduceat(values, starts_of(lengths)[filled], dtype=found.dtype)
    return found
