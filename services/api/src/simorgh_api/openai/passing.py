"""Passes a request on to the inference server: finds the model in the project, and gives its answer as it comes."""

import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from simorgh_api.asking import CLIENT_LEFT, ClientLeftError, ClosingStream, while_connected
from simorgh_api.errors import request_id
from simorgh_api.usecases import purposes
from simorgh_api.usecases.principals import Principal
from simorgh_shared.clients.inference import InferenceClient, Upstream
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError

_PASSED_ON = ("content-type", "cache-control", "retry-after", "x-should-retry", "x-accel-buffering")


async def passed_on(
    request: Request,
    sessions: sessionmaker[Session],
    inference: InferenceClient,
    who: Principal,
    path: str,
    body: dict[str, Any],
) -> Response:
    """The server's answer, whole or as a stream.

    Raises: InvalidInputError or NotFoundError for a model that is none, UnavailableError.
    """
    name = _name(body.get("model"))

    def find() -> str:
        with sessions() as session:
            return purposes.to_chat_with(session, who.project_id, name)

    asked = body | {"model": await run_in_threadpool(find)}
    try:
        upstream = await while_connected(
            request, inference.open(path, asked, model_name=name, request_id=request_id(request))
        )
        kept = {header: upstream.headers[header] for header in _PASSED_ON if header in upstream.headers}
        if upstream.is_stream:
            return ClosingStream(_events(upstream), upstream, status_code=upstream.status, headers=kept)
        return Response(await while_connected(request, upstream.read()), upstream.status, kept)
    except ClientLeftError:
        return Response(status_code=CLIENT_LEFT)


def _name(given: object) -> str:
    if not isinstance(given, str) or not given:
        raise InvalidInputError("invalid_body", where="model", reason="name one of GET /v1/models")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        reason = "it holds half of a surrogate pair, which is no character"
        raise InvalidInputError("invalid_body", where="model", reason=reason) from error
    return given


async def _events(upstream: Upstream) -> AsyncGenerator[bytes, None]:
    """The upstream's events as they come; they end with an error where it falls silent."""
    try:
        async with contextlib.aclosing(upstream.lines()) as parts:
            async for lines in parts:
                yield lines
    except UnavailableError as error:
        told = {"message": error.message(), "type": "server_error", "param": None, "code": error.code}
        yield f"\ndata: {json.dumps({'error': told})}\n\n".encode()
