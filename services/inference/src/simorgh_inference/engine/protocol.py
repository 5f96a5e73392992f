"""What crosses the socket: one JSON object a line. A step's output for all clients is one line.

To the engine: `{"op": "generate", "id", "messages", "max_tokens", "temperature", "top_p", "seed", "stop"}`,
`{"op": "cancel", "id"}`. From it: `{"ready": {...}}` once, then `{"step": [Piece, …]}`.
"""

from typing import Any, Literal, TypedDict


class Piece(TypedDict, total=False):
    """What a step made for one request."""

    id: str
    text: str
    finish: Literal["stop", "length", "cancelled", "error"]
    prompt_tokens: int
    completion_tokens: int
    error: dict[str, Any]


class GenerateRequest(TypedDict):
    """A request as the front sends it, checked."""

    op: str
    id: str
    messages: list[dict[str, str]]
    max_tokens: int | None
    temperature: float
    top_p: float
    seed: int | None
    stop: list[str]
