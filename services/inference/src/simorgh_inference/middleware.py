"""What every request meets before its route: an id, a line in the log, the internal key.

Plain ASGI: behind Starlette's `http` middleware a route never sees that its client has left.
"""

import asyncio
import hmac
import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simorgh_inference.errors import internal_error, openai_error, restarting
from simorgh_shared.domain.ids import new_id

OPEN_PATHS = frozenset({"/livez", "/readyz", "/health", "/metrics"})
"""Answered without the internal key: probes and Prometheus have none."""

log = structlog.get_logger()
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_CLIENT_LEFT = 499


class RequestContext:
    """Outermost: gives the id, writes the line, answers for what nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else new_id("req")
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.monotonic()
        status: int | None = None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:  # the server could wait no longer for its end
            if status is not None:
                raise
            await restarting()(scope, receive, answer)
        except Exception as error:
            log.error("request_crashed", path=scope["path"], exc_info=error)
            if status is not None:
                raise  # the answer has begun: the server can only break it off
            await internal_error(request_id)(scope, receive, answer)
        finally:
            _note(scope, _CLIENT_LEFT if status is None else status, time.monotonic() - began)


class KeyCheck:
    """Lets in who knows the internal key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 401, or pass on."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            given = Headers(scope=scope).get("x-simorgh-internal-key", "")
            if not hmac.compare_digest(given.encode(), self._key):
                refusal = openai_error(401, "internal_key_wrong", "This server answers the gateway alone.")
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _note(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"] in OPEN_PATHS and status < 500:
        return  # probes come every few seconds
    # The path without its query: queries may carry what a log must not.
    log.info(
        "request",
        method=scope["method"],
        path=scope["path"][:200],
        status=status,
        duration_ms=round(seconds * 1000, 1),
    )
