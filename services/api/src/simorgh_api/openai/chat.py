"""POST /v1/chat/completions: finds the model in the project, then passes everything through to inference."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import Body, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from simorgh_api.deps import Reader, Sessions, Settings
from simorgh_api.surfaces import openai_router
from simorgh_api.usecases import models
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError

router = openai_router()
_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
_RETRY_AFTER_S = 5


@router.post("/chat/completions", operation_id="create_chat_completion", response_model=None)
async def create(
    request: Request, sessions: Sessions, settings: Settings, principal: Reader, body: dict[str, Any] = Body(...)
) -> Response:
    """Answer a conversation with one of the project's models, plain or streamed."""
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidInputError("invalid_body", where="model", reason="name one of GET /v1/models")

    def find() -> str:
        with sessions() as session:
            return models.resolve(session, principal.project_id, name)

    version_id = await run_in_threadpool(find)
    headers = {"x-simorgh-model-name": quote(name), "content-type": "application/json"}
    if settings.internal_key is not None:
        headers["x-simorgh-internal-key"] = settings.internal_key.get_secret_value()
    exit_stack = contextlib.AsyncExitStack()
    try:
        client = await exit_stack.enter_async_context(httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False))
        upstream = await exit_stack.enter_async_context(
            client.stream(
                "POST",
                f"{settings.inference_url}/v1/chat/completions",
                content=json.dumps(body | {"model": version_id}, ensure_ascii=False).encode(),
                headers=headers,
            )
        )
    except httpx.TransportError as error:
        await exit_stack.aclose()
        raise UnavailableError("inference_unavailable", retry_after_s=_RETRY_AFTER_S) from error
    kept = {k: v for k, v in upstream.headers.items() if k in ("retry-after", "content-type", "cache-control")}
    return StreamingResponse(_bytes(upstream, exit_stack), upstream.status_code, kept)


async def _bytes(upstream: httpx.Response, exit_stack: contextlib.AsyncExitStack) -> AsyncIterator[bytes]:
    """The upstream's bytes as they come; when the client leaves, the upstream request is closed with it."""
    async with exit_stack:
        async for chunk in upstream.aiter_raw():
            yield chunk
