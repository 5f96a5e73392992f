"""What the routes that generate have in common: pieces of engines as OpenAI's clients read them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from simorgh_inference.child import EngineLostError
from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.domain.messages import sentence


def sse(value: dict[str, Any]) -> bytes:
    """An event of a stream."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def error_event(code: str, message: str, kind: str = "server_error") -> bytes:
    """The event that tells why a stream breaks off."""
    return sse({"error": {"message": message, "type": kind, "param": None, "code": code}})


DONE = b"data: [DONE]\n\n"
"""The last event."""
LOST = error_event("engine_lost", sentence("engine_lost", {}))


def usage(last: Iterable[dict[str, Any]], num_choices: int = 1) -> dict[str, int]:
    """The tokens of all answers, by their last pieces. A prompt counts once, however many choices it has."""
    pieces = list(last)
    prompt = sum(piece["prompt_tokens"] for piece in pieces if piece["index"] % num_choices == 0)
    completion = sum(piece["completion_tokens"] for piece in pieces)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def first_of(pieces: Any) -> dict[str, Any]:
    """The first piece: what is refused is an error answer, not a stream."""
    try:
        piece: dict[str, Any] = await anext(pieces)
        raise_refusal(piece)
    except EngineLostError as error:
        raise lost() from error
    except AppError:
        await pieces.aclose()
        raise
    return piece


def raise_refusal(piece: dict[str, Any]) -> None:
    """Raises: InvalidInputError where the engine has refused."""
    if piece.get("finish") == "error":
        raise InvalidInputError(piece["error"]["code"], **piece["error"]["params"])


def lost() -> AppError:
    """The engine ended while it worked on the request."""
    error = AppError("engine_lost")
    error.status = 502
    return error
