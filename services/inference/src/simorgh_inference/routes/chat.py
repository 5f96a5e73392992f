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

from simorgh_inference.child import EngineLostError
from simorgh_inference.host import EngineHost
from simorgh_inference.measure import measured
from simorgh_inference.priority import Priorities, is_of_batch
from simorgh_inference.schema import ChatRequest
from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.messages import sentence

router = APIRouter()
_FIT = "x-simorgh-fit"
_CUT_TURNS = "cut-turns"
_TURNS_CUT = "x-simorgh-turns-cut"


@router.post("/v1/chat/completions", response_model=None)
async def chat(request: Request, body: ChatRequest) -> Response:
    """Answer the conversation; with `x-simorgh-fit: cut-turns` without its oldest turns where the window is short."""
    host: EngineHost = request.app.state.host
    name = unquote(request.headers.get("x-simorgh-model-name", body.model))
    head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": name}
    is_batch, asked = is_of_batch(request), body.for_engine() | {"cut_turns": _may_cut_turns(request)}
    priorities: Priorities = request.app.state.priorities
    pieces = measured(priorities.ordered(body.model, host.generate(body.model, asked), is_batch=is_batch))
    if not body.stream:
        return await _whole(request, head, pieces)
    first = await _first(pieces)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"} | _told(first)
    return StreamingResponse(_stream(head, body, first, pieces), media_type="text/event-stream", headers=headers)


def _may_cut_turns(request: Request) -> bool:
    asked = request.headers.get(_FIT)
    if asked not in (None, _CUT_TURNS):
        raise InvalidInputError("invalid_parameter", name=_FIT, value=asked[:80], reason=f"only {_CUT_TURNS} is known")
    return asked is not None


def _told(first: dict[str, Any]) -> dict[str, str]:
    """The header that says how many turns were left out, where that was asked for."""
    return {_TURNS_CUT: str(first["turns_cut"])} if "turns_cut" in first else {}


async def _whole(request: Request, head: dict[str, Any], pieces: Any) -> Response:
    text, last = "", {}
    headers: dict[str, str] = {}
    async with contextlib.aclosing(pieces):
        try:
            async for piece in pieces:
                _raise_refusal(piece)
                text, last, headers = text + piece.get("text", ""), piece, headers | _told(piece)
                if await request.is_disconnected():
                    return Response(status_code=499)
        except EngineLostError as error:
            raise _lost() from error
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": last["finish"], "logprobs": None}
    answer = {**head, "object": "chat.completion", "choices": [choice], "usage": _usage(last)}
    return JSONResponse(answer, headers=headers)


async def _first(pieces: Any) -> dict[str, Any]:
    """The first piece: what is refused is an error answer, not a stream."""
    try:
        piece: dict[str, Any] = await anext(pieces)
        _raise_refusal(piece)
    except EngineLostError as error:
        raise _lost() from error
    except AppError:
        await pieces.aclose()
        raise
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
