"""Counts what becomes of each chat request, and when its first token comes."""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from simorgh_inference import metrics
from simorgh_inference.child import EngineLostError, RequestExpiredError
from simorgh_shared.domain.errors import AppError


async def measured(pieces: AsyncGenerator[dict[str, Any], None], num_choices: int = 1) -> AsyncIterator[dict[str, Any]]:
    """The same pieces. A request of several choices has ended with the last of them."""
    began, is_first, outcome, num_open = time.monotonic(), True, "left", num_choices
    metrics.REQUESTS_WAITING.inc()
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                finish = piece.get("finish")
                if finish == "error":
                    outcome = "refused"
                else:
                    num_open -= finish is not None
                    outcome = finish if finish and not num_open else outcome
                    metrics.TOKENS.inc(piece.get("tokens", 1) if "text" in piece else 0)
                    if is_first:
                        metrics.FIRST_TOKEN_SECONDS.observe(time.monotonic() - began)
                if is_first:
                    metrics.REQUESTS_WAITING.dec()
                is_first = False
                yield piece
    except Exception as error:
        outcome = _outcome(error)
        raise
    finally:
        if is_first:
            metrics.REQUESTS_WAITING.dec()
        metrics.REQUESTS.labels(outcome).inc()
        metrics.REQUEST_SECONDS.observe(time.monotonic() - began)


def _outcome(error: Exception) -> str:
    if isinstance(error, EngineLostError):
        return "lost"
    if isinstance(error, RequestExpiredError):
        return "expired"
    if isinstance(error, AppError):
        return "busy" if error.status == 429 else "refused" if error.status < 500 else "unavailable"
    return "failed"
