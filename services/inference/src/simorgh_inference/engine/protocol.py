"""What crosses the socket: one JSON object a line. A step's output for all clients is one line.

Steps that follow each other quickly are joined (outbox.py).

To the engine: `{"op": "generate", "id", …}` with the members of GenerateRequest, and `{"op": "cancel", "id"}`. From it:
`{"ready": {...}}` once, then `{"step": [Piece, …], "cache": SHARE}`: what of the pool is reserved, null without one.

The engine's first word on a request is `{"id", "taken": true}`, sent before any work on it. A request whose engine
dies before that word was never begun, and the front gives it to another engine; one that was taken is lost with it.
"""

from typing import Any, Literal, NotRequired, TypedDict


class Scored(TypedDict):
    """A token of an answer, and how likely it was by the model alone, before temperature and nucleus."""

    at: int
    """Characters of the answer before it."""
    text: str | None
    """None where its bytes are no whole characters."""
    bytes: list[int] | None
    """None for a special token."""
    logprob: float
    top: list[dict[str, Any]]
    """The likeliest tokens in its place, best first, each with `text`, `bytes` and `logprob`."""


class Piece(TypedDict, total=False):
    """What was made for one request: the text of a token or of some, which may be empty, or that it was taken."""

    id: str
    taken: Literal[True]
    text: str
    tokens: int
    """How many the text is of; 1 where it does not say."""
    finish: Literal["stop", "length", "cancelled", "error", "lost"]
    """`lost`: the engine goes on, and this answer cannot."""
    prompt_tokens: int
    completion_tokens: int
    turns_cut: int
    """With the first token of a request that let turns be cut."""
    error: dict[str, Any]
    vectors: list[str]
    """In place of text: float32, little-endian, as base64."""
    logprobs: list[Scored]
    """The tokens whose text this piece begins, where they were asked for."""


class AdapterSource(TypedDict):
    """An adapter on the engine's model."""

    name: str
    folder: str


class GenerateRequest(TypedDict):
    """A request as the front sends it, checked."""

    op: str
    id: str
    messages: list[dict[str, str]]
    prompt: NotRequired[str]
    """A text to go on with, in place of messages."""
    max_tokens: int | None
    temperature: float
    top_p: float
    seed: int | None
    stop: list[str]
    logprobs: NotRequired[int]
    """Tell how likely each token was, and so many of the likeliest in its place."""
    adapter: NotRequired[AdapterSource]
    """Answer with this adapter; loaded when it is not yet."""
    cut_turns: bool
    """Whether the oldest turns may be left out so that the rest fits."""


class EmbedRequest(TypedDict):
    """Texts to make vectors of, for a child that was started for that."""

    op: str
    id: str
    inputs: list[str | list[int]]
    """Each a text, or the ids of one."""


class PromptRefusedError(Exception):
    """The template cannot make a prompt of these messages; the message says why."""
