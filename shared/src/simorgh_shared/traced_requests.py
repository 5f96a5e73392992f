"""A span for each request of an HTTP front, below the one that its caller names. Added where traces are kept alone."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simorgh_shared import tracing

_QUIET = frozenset({"/livez", "/readyz", "/health", "/api/health", "/metrics"})
_SERVER_ERROR = 500


class TracedRequests:
    """Plain ASGI, outermost. A path's words may be anybody's: the name has its template."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        method = {"http.request.method": scope["method"]}
        parent = Headers(scope=scope).get("traceparent")
        span = tracing.begin(scope["method"], method, parent=parent, is_request=True)
        is_live = scope["path"].endswith("/stream")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    span.rename(f"{scope['method']} {route}")
                    span.set("http.route", route)
                span.set("http.response.status_code", message["status"])
                span.set("simorgh.request_id", scope.get("simorgh.request_id", ""))
                if message["status"] >= _SERVER_ERROR:
                    span.fail(str(message["status"]))
                if is_live:
                    span.end()  # it may go on for days
            await send(message)

        with tracing.entered(span):
            await self._app(scope, receive, answer)
