"""What every request gets: an id, a line in the log, a place in the metrics, security headers."""

import asyncio
import functools
import re
import time
from collections.abc import Callable

import structlog
from prometheus_client import Counter, Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simorgh_shared.domain.ids import new_id

log = structlog.get_logger()
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
_REQUESTS = Counter("simorgh_http_requests_total", "Requests answered", ["route", "method", "status"])
_SECONDS = Histogram(
    "simorgh_http_request_seconds",
    "Time until the answer began",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),  # few: there are as many series for each route
)
_IN_FLIGHT = Gauge("simorgh_http_requests_in_flight", "Requests whose answers have not ended, streams among them")
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_QUIET = frozenset({"/livez", "/readyz", "/health", "/api/health", "/metrics"})
_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


class RequestContext:
    """Outermost middleware, plain ASGI so that streams pass through untouched."""

    def __init__(self, app: ASGIApp, cut_short: Callable[[Request], Response]) -> None:
        """`cut_short` answers what had no answer yet when the server could wait no longer for its end."""
        self._app = app
        self._cut_short = cut_short

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else new_id("req")
        scope["simorgh.request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.monotonic()
        has_begun = False

        async def answer(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                _note(scope, message["status"], time.monotonic() - began)
            await send(message)

        with _IN_FLIGHT.track_inprogress():
            try:
                await self._app(scope, receive, answer)
            except asyncio.CancelledError:
                if has_begun:
                    raise
                await self._cut_short(Request(scope))(scope, receive, answer)


@functools.cache
def _series(route: str, method: str, hundreds: int) -> tuple[Counter, Histogram]:
    """Those of one kind of request: to find them anew costs as much as to count."""
    return _REQUESTS.labels(route, method, f"{hundreds}xx"), _SECONDS.labels(route, method)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "(none)")
    method = scope["method"] if scope["method"] in _METHODS else "(other)"
    requests, durations = _series(route, method, status // 100)
    requests.inc()
    durations.observe(seconds)
    if scope["path"] not in _QUIET:
        # The path without its query: queries may carry what a log must not.
        log.info("request", method=method, path=scope["path"], status=status, duration_ms=round(seconds * 1000, 1))
