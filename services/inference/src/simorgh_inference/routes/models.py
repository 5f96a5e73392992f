"""GET /v1/models in OpenAI's shape, and what the gateway and operators see of the engines."""

from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from simorgh_inference.bodies import read_body
from simorgh_inference.host import EMBEDS, EngineHost

_TOLD = ("engine", "engine_reason", "precision", "device", "context_tokens")
"""Of a loaded model, in a member of our own."""


async def list_models(request: Request) -> JSONResponse:
    """The models that lie in the cache or are loaded; a registry may know more."""
    host: EngineHost = request.app.state.host
    cached = await run_in_threadpool(host.source.cached)
    loaded = host.loaded()
    created = {model.removesuffix(EMBEDS): child.started_at for model, child in loaded.items()} | dict(cached)
    data = [
        {"id": model, "object": "model", "created": int(created[model]), "owned_by": "simorgh"}
        | ({"simorgh": {name: loaded[model].ready.get(name) for name in _TOLD}} if model in loaded else {})
        for model in sorted(created)
    ]
    return JSONResponse({"object": "list", "data": data})


async def engines(request: Request) -> JSONResponse:
    """The cached models, and the loaded ones with their processes."""
    host: EngineHost = request.app.state.host
    cached = await run_in_threadpool(host.source.cached)
    loaded = {
        model: {
            "pid": child.process.pid,
            "num_active": child.num_active,
            "num_taken": child.num_taken,
            **child.ready,
        }
        for model, child in host.loaded().items()
    }
    return JSONResponse({"cached": list(cached), "loaded": loaded})


class Succession(BaseModel):
    """A model that is about to get another one's requests, as when an alias moves."""

    model: str = Field(min_length=1, max_length=200)
    former: str = Field(min_length=1, max_length=200)


async def follow(request: Request) -> JSONResponse:
    """Load a model beside the one that it follows, so that its first request finds it ready.

    `ready` is false where nobody asks the other one, or both have no room beside each other.
    """
    body = await read_body(request, Succession)
    host: EngineHost = request.app.state.host
    return JSONResponse({"ready": await host.ready_to_follow(body.model, body.former)})


ROUTES = [
    Route("/v1/models", list_models),
    Route("/internal/models", engines),
    Route("/internal/models/follow", follow, methods=["POST"]),
]
