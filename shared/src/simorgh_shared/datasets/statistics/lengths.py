"""How long values are: exact quantiles and a histogram from counts of each length."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from simorgh_shared.datasets.statistics.segments import Ints
from simorgh_shared.schemas.statistics import Bin, Spread

_MOST_BINS = 24
_QUANTILES = {"p5": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99}


class Lengths:
    """Counts of lengths. There are few different ones: n of them add up to n²/2 characters at least."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, lengths: Ints | Sequence[int]) -> None:
        """Count more values."""
        values, counts = np.unique(np.asarray(lengths, dtype=np.int64), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[value] += count

    def spread(self) -> Spread | None:
        """How they are spread; None where nothing was counted."""
        return spread_of(self._counts) if self._counts else None


def spread_of(counts: Mapping[int, int]) -> Spread:
    """The spread of values that were counted, at least one."""
    values = sorted(counts)
    upto = np.cumsum([counts[value] for value in values])
    num, total = int(upto[-1]), sum(value * count for value, count in counts.items())
    ranks = {name: max(1, math.ceil(share * num)) for name, share in _QUANTILES.items()}
    quantiles = {name: values[int(np.searchsorted(upto, rank))] for name, rank in ranks.items()}
    return Spread(
        count=num,
        total=total,
        mean=round(total / num, 2),
        least=values[0],
        most=values[-1],
        histogram=_histogram(counts, values[0], quantiles["p99"], values[-1]),
        **quantiles,
    )


def _histogram(counts: Mapping[int, int], least: int, nearly_most: int, most: int) -> list[Bin]:
    """Bins of one width up to the last hundredth of the values, and one bin for that."""
    width = max(1, math.ceil((nearly_most - least + 1) / _MOST_BINS))
    num_bins = math.ceil((nearly_most - least + 1) / width)
    found = [0] * (num_bins + 1)
    for value, count in counts.items():
        found[min((value - least) // width, num_bins)] += count
    bins = [Bin(low=least + n * width, high=least + (n + 1) * width - 1, count=found[n]) for n in range(num_bins)]
    beyond = least + num_bins * width
    return [*bins, Bin(low=beyond, high=most, count=found[-1])] if found[-1] else bins
