"""Owns the calls that make a model speak: with memory (`/api/chat`), and one question alone (`/v1`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from simorgh_cli.api.connection import Connection
from simorgh_cli.api.errors import LostError, RefusedError
from simorgh_cli.api.events import ServerEvent, read_events

_SILENCE_S = 120.0  # a model that is loaded for the first time takes its time before the first comment
_GREEDY: Mapping[str, Any] = {"temperature": 0, "max_tokens": 200}


def say(connection: Connection, said: Mapping[str, Any]) -> Iterator[ServerEvent]:
    """Say something in a conversation: `start`, `delta` … and `done` as they come.

    Raises: RefusedError also for an answer that breaks off, LostError when its end never comes.
    """
    body = {"json": {**said, "stream": True}}
    with connection.opened("POST", "/api/chat", lambda: body, silence_s=_SILENCE_S) as answer:
        for event in read_events(answer.iter_lines()):
            if event.name == "error":
                raise RefusedError(502, str(event.data["code"]), str(event.data["error"]))
            yield event
            if event.name == "done":
                return
    raise LostError("api_unreachable", url=connection.url, reason="the answer broke off")


def complete(connection: Connection, model: str, question: str) -> str:
    """The greedy answer to a question that stands alone, whole."""
    answer = connection.call("POST", "/v1/chat/completions", _question(model, question))
    return str(answer["choices"][0]["message"]["content"])


def complete_streamed(connection: Connection, model: str, question: str) -> Iterator[str]:
    """The greedy answer to a question that stands alone, in pieces as they come."""
    body = {"json": _question(model, question) | {"stream": True}}
    with connection.opened("POST", "/v1/chat/completions", lambda: body, silence_s=_SILENCE_S) as answer:
        for event in read_events(answer.iter_lines()):
            if "error" in event.data:
                broken = event.data["error"]
                raise RefusedError(502, str(broken.get("code")), str(broken.get("message")))
            for choice in event.data.get("choices") or ():
                yield choice.get("delta", {}).get("content") or ""


def _question(model: str, question: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": question}], **_GREEDY}
