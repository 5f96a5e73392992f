"""Whether an optimised model keeps what was asked of it."""

from collections.abc import Mapping
from typing import Any

from simorgh_shared.schemas.optimization import GateView, MeasuredView


def judge_gate(gate: Mapping[str, Any], before: MeasuredView, after: MeasuredView) -> GateView:
    """The figures, and a sentence for each that misses its bound."""
    increase = after.perplexity / before.perplexity - 1
    speedup = after.tokens_per_s / before.tokens_per_s if after.tokens_per_s and before.tokens_per_s else None
    most, least = gate.get("max_perplexity_increase"), gate.get("min_speedup")
    missed = []
    if most is not None and not increase <= most:
        missed.append(
            f"perplexity went from {before.perplexity:.4g} to {after.perplexity:.4g}, {100 * increase:+.2f} %,"
            f" and {100 * most:g} % more is allowed"
        )
    if least is not None and (speedup is None or speedup < least):
        missed.append(
            f"it makes {after.tokens_per_s or 0:.1f} tokens/s where {before.tokens_per_s or 0:.1f} were made,"
            f" {speedup or 0:.2f} times as many, and {least:g} times is asked for"
        )
    return GateView(
        max_perplexity_increase=most,
        min_speedup=least,
        perplexity_increase=increase,
        speedup=speedup,
        passed=not missed,
        missed=missed,
    )
