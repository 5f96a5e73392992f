"""Counts the barbs of a feather, in the worker's own process."""

from collections.abc import Sequence
from typing import Any

from simorgh_shared.queue.parents import ChildJob
from simorgh_shared.queue.submit import NewJob


def run(spec: dict[str, Any], children: Sequence[ChildJob]) -> dict[str, Any] | Sequence[NewJob]:
    """The number of barbs.

    Raises: ValueError for a feather without a colour.
    """
    del children
    if not spec.get("colour"):
        raise ValueError("the feather has no colour")
    return {"barbs": len(spec["colour"])}
