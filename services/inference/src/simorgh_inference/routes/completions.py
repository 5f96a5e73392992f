"""POST /v1/completions, plain and streamed: each prompt is gone on with as it stands, all of them at the same time."""

import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
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
from simorgh_inference.routes.logprobs import of_completion
from simorgh_inference.routes.merging import merged
from simorgh_inference.routes.streams import EventStream
from simorgh_inference.schema import CompletionRequest
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.ids import new_id

_LEFT = 499


async def complete(request: Request) -> Response:
    """Go on with each text. The choices have the numbers of their prompts, with `n` of them to each prompt."""
    body = await read_body(request, CompletionRequest)
    host: EngineHost = request.app.state.host
    priorities: Priorities = request.app.state.priorities
    is_batch, asked = is_of_batch(request), body.for_engine()
    name = unquote(request.headers.get("x-simorgh-model-name", body.model))
    head = {"id": new_id("cmpl"), "object": "text_completion", "created": int(time.time()), "model": name}
    answers = merged([host.generate(body.model, one) for one in asked])
    pieces = measured(priorities.ordered(body.model, answers, is_batch=is_batch), len(asked))
    if not body.stream:
        return await _whole(request, head, body, pieces)
    first = await first_of(pieces)
    return EventStream(_stream(head, body, first, pieces))


async def _whole(request: Request, head: dict[str, Any], body: CompletionRequest, pieces: Any) -> Response:
    texts, last = [""] * body.num_choices, [dict[str, Any]()] * body.num_choices
    scored: list[list[dict[str, Any]]] = [[] for _ in texts]
    async with contextlib.aclosing(pieces):
        try:
            async for piece in pieces:
                raise_refusal(piece)
                texts[piece["index"]] += piece.get("text", "")
                scored[piece["index"]] += piece.get("logprobs", ())
                last[piece["index"]] = piece
                if await request.is_disconnected():
                    return Response(status_code=_LEFT)
        except EngineLostError as error:
            raise lost() from error
    choices = [_choice(body, index, texts[index], piece["finish"], scored[index]) for index, piece in enumerate(last)]
    return JSONResponse({**head, "choices": choices, "usage": usage(last, body.n)})


async def _stream(
    head: dict[str, Any], body: CompletionRequest, first: dict[str, Any], pieces: Any
) -> AsyncGenerator[bytes, None]:
    last: list[dict[str, Any]] = []
    async with contextlib.aclosing(pieces):
        piece: dict[str, Any] | None = first
        try:
            while piece is not None:
                raise_refusal(piece)
                finish = piece.get("finish")
                scored = piece.get("logprobs", ())
                if piece.get("text") or scored or finish:
                    choice = _choice(body, piece["index"], piece.get("text", ""), finish, scored)
                    yield sse({**head, "choices": [choice]})
                if finish:
                    last.append(piece)
                piece = await anext(pieces, None)
        except EngineLostError:
            yield LOST
            return
        except AppError as error:  # its time is over, or a later choice was refused when the first had begun
            yield error_event(error.code, error.message(), kind_of(error.status))
            return
        if body.stream_options is not None and body.stream_options.include_usage:
            yield sse({**head, "choices": [], "usage": usage(last, body.n)})
        yield DONE


def _choice(
    body: CompletionRequest, index: int, text: str, finish: str | None, scored: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    logprobs = None if body.logprobs is None else of_completion(scored, body.logprobs)
    return {"index": index, "text": text, "finish_reason": finish, "logprobs": logprobs}


ROUTES = [Route("/v1/completions", complete, methods=["POST"])]
