"""Compares what two forms of a model make of one row. Shapes: T tokens, V vocabulary."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.runtimes import Runtime

TOLERANCE = 1e-3
"""Of logits that are to be equal, relative to the largest: float32 summed in another order came out at 1e-6."""


def compare_logits(before: Runtime, after: Runtime, ids: list[int], tolerance: float | None) -> dict[str, Any]:
    """The largest difference, relative to the largest logit: of a row at once, and of its second half with a cache.

    Raises: InvalidInputError `optimization_not_alike` beyond the tolerance.
    """
    half = max(1, len(ids) // 2)
    wanted_TV, _ = before.step(ids, None)
    found_TV, _ = after.step(ids, None)
    _, state = after.step(ids[:half], None)
    deviation = _deviation(found_TV, wanted_TV)
    if ids[half:]:
        cached_TV, _ = after.step(ids[half:], state)
        deviation = max(deviation, _deviation(cached_TV, wanted_TV[half:]))
    if tolerance is not None and not deviation <= tolerance:
        reason = f"its logits deviate by {deviation:.2g}, and {tolerance:g} is allowed"
        raise InvalidInputError("optimization_not_alike", reason=reason)
    return {"logits_deviation": float(f"{deviation:.3g}"), "tolerance": tolerance, "tokens_compared": len(ids)}


def _deviation(found_TV: NDArray[np.float32], wanted_TV: NDArray[np.float32]) -> float:
    return float(np.abs(found_TV - wanted_TV).max() / max(float(np.abs(wanted_TV).max()), 1e-12))
