"""The probe: sleeps for as long as it is told in the worker's own process, to show that a queue is served."""

import time
from typing import Any

_LONGEST_MS = 60_000


def run(spec: dict[str, Any]) -> dict[str, Any]:
    """Sleep `sleep_ms` (default 0, at most a minute) and say how long it took.

    Raises: ValueError for another spec.
    """
    sleep_ms = spec.get("sleep_ms", 0)
    if not isinstance(sleep_ms, int) or not 0 <= sleep_ms <= _LONGEST_MS:
        raise ValueError(f"sleep_ms is {sleep_ms!r}: it must be a whole number from 0 to {_LONGEST_MS}")
    begun = time.monotonic()
    time.sleep(sleep_ms / 1_000)
    return {"slept_ms": round((time.monotonic() - begun) * 1_000, 3)}
