"""What every benchmark here does alike: interleaved rounds, medians of paired ratios, and the busy time of others.

Machines under neighbours' load are ten times slower for a while: only ratios within one round mean something. A round
in which other processes took more than a quarter of a core is measured again, as long as there is time.
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

MOST_BY_OTHERS = 0.25
"""Cores that other processes may take in a round."""
FEWEST_ROUNDS = 3


@dataclass
class Rounds:
    """What each variant reached in each round."""

    values: dict[str, list[float]] = field(default_factory=dict)
    by_others: list[float] = field(default_factory=list)
    num_repeated: int = 0

    def ratio(self, name: str, baseline: str) -> float:
        """The median over the rounds of one variant's value by another's."""
        pairs = zip(self.values[name], self.values[baseline], strict=True)
        return statistics.median(value / other for value, other in pairs)

    def median(self, name: str) -> float:
        """Of one variant."""
        return statistics.median(self.values[name])


def run_rounds(variants: Mapping[str, Callable[[], float]], within_s: float) -> Rounds:
    """Measure all variants again and again, forwards and backwards by turns, until the time is over.

    Rounds that others disturbed are left out where at least three quiet ones are there.
    """
    told: list[tuple[float, dict[str, float]]] = []
    begun = time.monotonic()
    longest_s = 0.0
    while len(told) < FEWEST_ROUNDS or time.monotonic() - begun + longest_s < within_s:
        order = list(variants) if len(told) % 2 == 0 else list(reversed(variants))
        round_begun = time.monotonic()
        with Others() as others:
            values = {name: variants[name]() for name in order}
        longest_s = max(longest_s, time.monotonic() - round_begun)
        told.append((others.cores, values))
    quiet = [one for one in told if one[0] <= MOST_BY_OTHERS]
    kept = quiet if len(quiet) >= FEWEST_ROUNDS else sorted(told, key=lambda one: one[0])[:FEWEST_ROUNDS]
    rounds = Rounds(num_repeated=len(told) - len(kept), by_others=[round(cores, 2) for cores, _ in kept])
    for name in variants:
        rounds.values[name] = [values[name] for _, values in kept]
    return rounds


class Others:
    """How many cores processes that are not of this benchmark took while it was open."""

    def __init__(self) -> None:
        self.cores = 0.0

    def __enter__(self) -> "Others":
        self._begun = time.monotonic()
        self._busy, self._own = _busy_s(), _own_s()
        return self

    def __exit__(self, *_: object) -> None:
        seconds = time.monotonic() - self._begun
        self.cores = max(0.0, (_busy_s() - self._busy) - (_own_s() - self._own)) / seconds


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _own_s() -> float:
    """Processor time of this process, its children that live, and those that it has waited for."""
    ended = os.times()
    total = ended.user + ended.system + ended.children_user + ended.children_system
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def report(
    bench: str,
    unit: str,
    rounds: Rounds,
    ratios: Mapping[str, float],
    goals: Mapping[str, tuple[str, float]],
    notes: Mapping[str, Any],
) -> None:
    """Print a table, and the figures as the last line.

    goals: for each ratio `>=` or `<=` and the figure.
    """
    width = max(map(len, rounds.values))
    print(f"\n{bench}: medians of {len(rounds.by_others)} rounds, {unit}")
    for name in rounds.values:
        print(f"  {name:<{width}}  {rounds.median(name):>12,.1f}")
    for name, value in ratios.items():
        goal = f"   goal {goals[name][0]} {goals[name][1]:g}" if name in goals else ""
        print(f"  {name:<{max(width, 28)}}  {value:>8.3f}{goal}")
    for name, note in notes.items():
        print(f"  {name}: {note}")
    print(f"  cores taken by others in each round: {rounds.by_others}, rounds left out: {rounds.num_repeated}")
    met = all(_is_met(ratios[name], *goal) for name, goal in goals.items())
    body = {
        "bench": bench,
        "unit": unit,
        "variants": {name: [round(value, 3) for value in values] for name, values in rounds.values.items()},
        "ratios": {name: round(value, 4) for name, value in ratios.items()},
        "goals": {name: f"{sign} {figure:g}" for name, (sign, figure) in goals.items()},
        "met": met,
        "by_others": rounds.by_others,
        **notes,
    }
    print(json.dumps(body))


def _is_met(value: float, sign: str, goal: float) -> bool:
    return value >= goal if sign == ">=" else value <= goal


def quiet_torch(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for every process with torch, peers included: threads that spin make it 20 to 80 times slower."""
    return dict(environment) | {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "TOKENIZERS_PARALLELISM": "false"}


def percent(values: Sequence[float], share: float) -> float:
    """A quantile, of the values themselves."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
