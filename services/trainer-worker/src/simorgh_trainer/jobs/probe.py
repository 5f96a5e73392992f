"""The probe: sleeps for as long as it is told in the worker's own process, to show that a queue is served.

With `children` it first makes that many probes and ends when they have: it shows that parents work too.
"""

import time
from collections.abc import Sequence
from typing import Any

from simorgh_shared.domain.jobs import JobStatus, JobType, Queue
from simorgh_shared.queue.parents import ChildJob
from simorgh_shared.queue.submit import NewJob

_LONGEST_MS = 60_000
_MOST_CHILDREN = 100


def run(spec: dict[str, Any], children: Sequence[ChildJob]) -> dict[str, Any] | Sequence[NewJob]:
    """Sleep `sleep_ms` (default 0, at most a minute) and say how long it took.

    Raises: ValueError for another spec, or when a child did not succeed.
    """
    sleep_ms = _whole(spec, "sleep_ms", _LONGEST_MS)
    num_children = _whole(spec, "children", _MOST_CHILDREN)
    if num_children and not children:
        # The project is the parent's: whoever queues them knows it.
        return [NewJob("", JobType.PROBE, Queue(spec["queue"]), {"sleep_ms": sleep_ms})] * num_children
    unhappy = [child for child in children if child.status is not JobStatus.SUCCEEDED]
    if unhappy:
        raise ValueError(f"{len(unhappy)} of {len(children)} children did not succeed")
    begun = time.monotonic()
    time.sleep(sleep_ms / 1_000)
    slept_ms = round((time.monotonic() - begun) * 1_000, 3)
    return {"slept_ms": slept_ms, "children": [child.job_id for child in children]}


def _whole(spec: dict[str, Any], name: str, highest: int) -> int:
    value = spec.get(name, 0)
    if not isinstance(value, int) or not 0 <= value <= highest:
        raise ValueError(f"{name} is {value!r}: it must be a whole number from 0 to {highest}")
    return value
