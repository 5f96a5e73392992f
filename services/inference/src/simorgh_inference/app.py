"""The HTTP front of the inference server."""

import contextlib
import hmac
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from simorgh_inference.host import EngineHost
from simorgh_inference.registry import ModelSource
from simorgh_inference.routes import chat
from simorgh_inference.settings import ServerSettings
from simorgh_shared.domain.errors import AppError

_OPEN = ("/livez", "/readyz", "/health")


def create_app(settings: ServerSettings, source: ModelSource) -> FastAPI:
    """A front on this source of models."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.host = EngineHost(source, settings.max_waiting, settings.load_timeout_s)
        yield
        await app.state.host.close()

    app = FastAPI(title="Simorgh inference", lifespan=lifespan)
    app.include_router(chat.router)
    if settings.internal_key is not None:
        app.add_middleware(KeyCheck, key=settings.internal_key.get_secret_value())

    @app.exception_handler(AppError)
    async def refuse(_: Request, error: AppError) -> JSONResponse:
        answer = _error(error.status, error.code, error.message())
        if error.retry_after_s is not None:
            answer.headers["retry-after"] = str(error.retry_after_s)
        return answer

    @app.exception_handler(RequestValidationError)
    async def refuse_shape(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        return _error(400, "invalid_parameter", f"{where}: {first['msg']}", where)

    @app.get("/livez")
    @app.get("/readyz")
    @app.get("/health")
    async def health() -> dict[str, object]:
        return {"ok": True}

    @app.get("/internal/models")
    async def models() -> dict[str, object]:
        loaded = app.state.host.loaded()
        told = {
            model: {"pid": child.process.pid, "num_active": child.num_active, **child.ready}
            for model, child in loaded.items()
        }
        return {"cached": source.cached(), "loaded": told}

    return app


class KeyCheck:
    """Lets in who knows the internal key.

    Plain ASGI: behind Starlette's `http` middleware a route never sees that its client has left.
    """

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 401, or pass on."""
        if scope["type"] == "http" and scope["path"] not in _OPEN:
            given = Headers(scope=scope).get("x-simorgh-internal-key", "")
            if not hmac.compare_digest(given.encode(), self._key):
                await _error(401, "internal_key_wrong", "This server answers the gateway alone.")(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _error(status: int, code: str, message: str, param: str | None = None) -> JSONResponse:
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return JSONResponse({"error": {"message": message, "type": kind, "param": param, "code": code}}, status)
