"""The former home of the code-point level, for callers that have not moved to `code_points` yet; nothing else."""

from simorgh_shared.persian.code_points import ZWNJ, comparison_key
from simorgh_shared.persian.code_points import normalise_code_points as normalise

__all__ = ["ZWNJ", "comparison_key", "normalise"]
