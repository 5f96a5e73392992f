"""POST /v1/chat/completions, plain and streamed, in OpenAI's shapes."""

import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.responses import Response

from simorgh_inference.host import EngineChild, EngineHost, EngineLostError
from simorgh_inference.schema import ChatRequest
from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.messages import sentence

router = APIRouter()


@router.post("/v1/chat/completions", response_model=None)
async def chat(request: Request, body: ChatRequest) -> Response:
    """Answer the conversation."""
    host: EngineHost = request.app.state.host
    child = await host.child(body.model)
    name = unquote(request.headers.get("x-simorgh-model-name", body.model))
    head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": name}
    pieces = child.generate(body.for_engine())
    if body.stream:
        first = await _first(pieces)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(_stream(head, body, first, pieces), media_type="text/event-stream", headers=headers)
    return await _whole(request, head, pieces, child)


async def _whole(request: Request, head: dict[str, Any], pieces: Any, child: EngineChild) -> Response:
    del child
    text, last = "", {}
    async with contextlib.aclosing(pieces):
        try:
            async for piece in pieces:
                _raise_refusal(piece)
                text, last = text + piece.get("text", ""), piece
                if await request.is_disconnected():
                    return Response(status_code=499)
        except EngineLostError as error:
            raise _lost() from error
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": last["finish"], "logprobs": None}
    return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": _usage(last)})


async def _first(pieces: Any) -> dict[str, Any]:
    """The first piece: what is refused is an error answer, not a stream."""
    try:
        piece: dict[str, Any] = await anext(pieces)
    except EngineLostError as error:
        raise _lost() from error
    _raise_refusal(piece)
    return piece


async def _stream(head: dict[str, Any], body: ChatRequest, first: dict[str, Any], pieces: Any) -> AsyncIterator[str]:
    def event(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _sse({**head, "object": "chat.completion.chunk", "choices": [choice]})

    async with contextlib.aclosing(pieces):
        yield event({"role": "assistant", "content": ""})
        piece = first
        try:
            while True:
                if piece.get("text"):
                    yield event({"content": piece["text"]})
                if "finish" in piece:
                    break
                piece = await anext(pieces)
        except EngineLostError:
            message = sentence("engine_lost", {})
            yield _sse({"error": {"message": message, "type": "server_error", "param": None, "code": "engine_lost"}})
            return
        yield event({}, piece["finish"])
        if body.stream_options is not None and body.stream_options.include_usage:
            yield _sse({**head, "object": "chat.completion.chunk", "choices": [], "usage": _usage(piece)})
        yield "data: [DONE]\n\n"


def _sse(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _usage(piece: dict[str, Any]) -> dict[str, int]:
    prompt, completion = piece["prompt_tokens"], piece["completion_tokens"]
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _raise_refusal(piece: dict[str, Any]) -> None:
    if piece.get("finish") == "error":
        raise InvalidInputError(piece["error"]["code"], **piece["error"]["params"])


def _lost() -> AppError:
    error = AppError("engine_lost")
    error.status = 502
    return error
