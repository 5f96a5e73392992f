"""POST /v1/chat/completions, plain and streamed, in OpenAI's shapes."""

import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simorgh_inference.bodies import read_body
from simorgh_inference.child import EngineLostError
from simorgh_inference.errors import kind_of
from simorgh_inference.host import EngineHost
from simorgh_inference.measure import measured
from simorgh_inference.priority import Priorities, is_of_batch
from simorgh_inference.routes.answers import DONE, LOST, error_event, first_of, lost, raise_refusal, sse, usage
from simorgh_inference.routes.logprobs import of_chat
from simorgh_inference.routes.merging import merged
from simorgh_inference.routes.streams import EventStream
from simorgh_inference.schema import ChatRequest
from simorgh_shared.domain.errors import AppError, InvalidInputError
from simorgh_shared.domain.ids import new_id

_FIT = "x-simorgh-fit"
_CUT_TURNS = "cut-turns"
_TURNS_CUT = "x-simorgh-turns-cut"


async def chat(request: Request) -> Response:
    """Answer the conversation; with `x-simorgh-fit: cut-turns` without its oldest turns where the window is short."""
    body = await read_body(request, ChatRequest)
    host: EngineHost = request.app.state.host
    name = unquote(request.headers.get("x-simorgh-model-name", body.model))
    head = {"id": new_id("chatcmpl"), "created": int(time.time()), "model": name}
    is_batch, cut = is_of_batch(request), {"cut_turns": _may_cut_turns(request)}
    priorities: Priorities = request.app.state.priorities
    answers = merged([host.generate(body.model, asked | cut) for asked in body.for_engine()])
    pieces = measured(priorities.ordered(body.model, answers, is_batch=is_batch), body.n)
    if not body.stream:
        return await _whole(request, head, body, pieces)
    first = await first_of(pieces)
    return EventStream(_stream(head, body, first, pieces), _told(first))


def _may_cut_turns(request: Request) -> bool:
    asked = request.headers.get(_FIT)
    if asked not in (None, _CUT_TURNS):
        raise InvalidInputError("invalid_parameter", name=_FIT, value=asked[:80], reason=f"only {_CUT_TURNS} is known")
    return asked is not None


def _told(first: dict[str, Any]) -> dict[str, str]:
    """The header that says how many turns were left out, where that was asked for."""
    return {_TURNS_CUT: str(first["turns_cut"])} if "turns_cut" in first else {}


async def _whole(request: Request, head: dict[str, Any], body: ChatRequest, pieces: Any) -> Response:
    texts, last = [""] * body.n, [dict[str, Any]()] * body.n
    scored: list[list[dict[str, Any]]] = [[] for _ in texts]
    headers: dict[str, str] = {}
    async with contextlib.aclosing(pieces):
        try:
            async for piece in pieces:
                raise_refusal(piece)
                texts[piece["index"]] += piece.get("text", "")
                scored[piece["index"]] += piece.get("logprobs", ())
                last[piece["index"]] = piece
                headers |= _told(piece)
                if await request.is_disconnected():
                    return Response(status_code=499)
        except EngineLostError as error:
            raise lost() from error
    choices = [_choice(text, piece) for text, piece in zip(texts, last, strict=True)]
    if body.logprobs:
        for choice, its_scored in zip(choices, scored, strict=True):
            choice["logprobs"] = of_chat(its_scored)
    answer = {**head, "object": "chat.completion", "choices": choices, "usage": usage(last, body.n)}
    return JSONResponse(answer, headers=headers)


def _choice(text: str, last: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {"index": last["index"], "message": message, "finish_reason": last["finish"], "logprobs": None}


async def _stream(
    head: dict[str, Any], body: ChatRequest, first: dict[str, Any], pieces: Any
) -> AsyncGenerator[bytes, None]:
    def event(index: int, delta: dict[str, str], finish: str | None = None, scored: Any = ()) -> bytes:
        choice = {"index": index, "delta": delta, "finish_reason": finish}
        choice["logprobs"] = of_chat(scored) if scored else None
        return sse({**head, "object": "chat.completion.chunk", "choices": [choice]})

    last: list[dict[str, Any]] = []
    async with contextlib.aclosing(pieces):
        for index in range(body.n):
            yield event(index, {"role": "assistant", "content": ""})
        piece: dict[str, Any] | None = first
        try:
            while piece is not None:
                raise_refusal(piece)
                scored = piece.get("logprobs")
                if piece.get("text") or scored:
                    yield event(piece["index"], {"content": piece["text"]}, scored=scored)
                if "finish" in piece:
                    last.append(piece)
                    yield event(piece["index"], {}, piece["finish"])
                piece = await anext(pieces, None)
        except EngineLostError:
            yield LOST
            return
        except AppError as error:  # its time is over, or a later choice was refused when the first had begun
            yield error_event(error.code, error.message(), kind_of(error.status))
            return
        if body.stream_options is not None and body.stream_options.include_usage:
            yield sse({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage(last, body.n)})
        yield DONE


ROUTES = [Route("/v1/chat/completions", chat, methods=["POST"])]
