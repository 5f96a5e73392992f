"""Rings of rows in which figures are kept: an hour in short periods, a week in longer ones, whatever happens.

No process has to delete anything: the row of a slot is written over when its turn comes again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SHORT_SLOTS = 360
LONG_PERIOD_S = 300
LONG_SLOTS = 2_016  # a week of five minutes
KEPT_S = LONG_PERIOD_S * LONG_SLOTS


@dataclass(frozen=True)
class Row:
    """One row: the means over a period that began at `at` (seconds since 1970)."""

    period_s: int
    slot: int
    at: int
    figures: Mapping[str, float | None]


@dataclass
class Ring:
    """Sums up what comes within one period."""

    period_s: int
    num_slots: int
    _number: int = -1
    _sums: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, moment_s: float, figures: Mapping[str, float | None]) -> Row:
        """The row of the period as it now is, to be written over the one in its slot."""
        number = int(moment_s // self.period_s)
        if number != self._number:
            self._number, self._sums = number, {}
        for name, value in figures.items():
            if value is not None:
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (total + value, count + 1)
        means = {name: round(total / count, 4) for name, (total, count) in self._sums.items()}
        nothing = dict.fromkeys(figures.keys() - means.keys())
        return Row(self.period_s, number % self.num_slots, number * self.period_s, means | nothing)
