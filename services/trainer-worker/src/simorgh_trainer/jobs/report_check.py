"""Compares a report with what measuring both forms again has found: figures alone."""

import math
from collections.abc import Mapping
from typing import Any

from simorgh_shared.schemas.optimization import DifferenceView

_TOLERANCE = 1e-3  # sums in another order, on other threads or another processor
_REPEATED = (
    "held_out.rows",
    "held_out.tokens",
    "before.bytes",
    "before.loss",
    "before.perplexity",
    "after.bytes",
    "after.loss",
    "after.perplexity",
    "agreement.prompts",
    "agreement.share",
    "agreement.equal_start",
)
_MEASURED = tuple(
    f"{when}.{name}" for when in ("before", "after") for name in ("tokens_per_s", "first_token_ms", "peak_memory_bytes")
)


def compare_reports(reported: Mapping[str, Any], found: Mapping[str, Any]) -> list[DifferenceView]:
    """Both values of each figure that both have."""
    return [
        DifferenceView(
            name=name, reported=one, found=other, repeats=_is_same(one, other) if name in _REPEATED else None
        )
        for name in (*_REPEATED, *_MEASURED)
        if (one := _figure(reported, name)) is not None and (other := _figure(found, name)) is not None
    ]


def _figure(report: Mapping[str, Any], name: str) -> float | None:
    part, _, figure = name.partition(".")
    value = report[part][figure]
    return None if value is None else float(value)


def _is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_TOLERANCE)
