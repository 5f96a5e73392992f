"""POST /v1/embeddings: a vector for each text, in OpenAI's shape."""

import base64
import contextlib
import struct
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simorgh_inference.bodies import read_body
from simorgh_inference.child import EngineLostError
from simorgh_inference.host import EngineHost
from simorgh_inference.measure import measured
from simorgh_inference.priority import Priorities, is_of_batch
from simorgh_inference.routes.answers import lost, raise_refusal
from simorgh_inference.schema import EmbeddingRequest


async def embed(request: Request) -> Response:
    """Make a vector of length 1 of each text, in their order."""
    body = await read_body(request, EmbeddingRequest)
    host: EngineHost = request.app.state.host
    priorities: Priorities = request.app.state.priorities
    name = unquote(request.headers.get("x-simorgh-model-name", body.model))
    made = host.generate(body.model, body.for_engine(), embeds=True)
    pieces: Any = measured(priorities.ordered(body.model, made, is_batch=is_of_batch(request)))
    vectors: list[str] = []
    last: dict[str, Any] = {}
    async with contextlib.aclosing(pieces):
        try:
            async for piece in pieces:
                raise_refusal(piece)
                vectors += piece["vectors"]
                last = piece
                if await request.is_disconnected():
                    return Response(status_code=499)
        except EngineLostError as error:
            raise lost() from error
    is_base64 = body.encoding_format == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": vector if is_base64 else _floats(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": last["prompt_tokens"], "total_tokens": last["prompt_tokens"]}
    return JSONResponse({"object": "list", "data": data, "model": name, "usage": usage})


def _floats(vector: str) -> list[float]:
    data = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


ROUTES = [Route("/v1/embeddings", embed, methods=["POST"])]
