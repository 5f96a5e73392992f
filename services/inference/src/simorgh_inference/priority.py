"""Keeps the requests of batches behind those of people: while somebody waits for a model, one of them at most goes on.

That one is let through always, so that a model which is asked all day still answers its batches.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request

from simorgh_shared.domain.errors import InvalidInputError, LimitedError

_HEADER = "x-simorgh-priority"
_BATCH = "batch"


class Priorities:
    """The requests that are worked on, by model."""

    def __init__(self) -> None:
        self._people: Counter[str] = Counter()
        self._batches: Counter[str] = Counter()

    async def ordered(
        self, model: str, pieces: AsyncGenerator[dict[str, Any], None], *, is_batch: bool
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The same pieces.

        Raises: LimitedError for a batch's request that has to wait.
        """
        if is_batch and self._people[model] and self._batches[model]:
            await pieces.aclose()
            raise LimitedError("engine_busy", retry_after_s=1)
        held = self._batches if is_batch else self._people
        held[model] += 1
        try:
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    yield piece
        finally:
            held[model] -= 1
            if not held[model]:
                del held[model]


def is_of_batch(request: Request) -> bool:
    """Whether a request says that it is a batch's.

    Raises: InvalidInputError for a priority that there is not.
    """
    asked = request.headers.get(_HEADER)
    if asked not in (None, _BATCH):
        raise InvalidInputError("invalid_parameter", name=_HEADER, value=asked[:80], reason=f"only {_BATCH} is known")
    return asked is not None
