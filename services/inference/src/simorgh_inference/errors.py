"""Turns what went wrong into OpenAI's error object. What nobody expected is logged and not told."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from simorgh_inference.bodies import ShapeError
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.messages import sentence

_RESTART_S = 5
_KINDS = {401: "authentication_error", 429: "rate_limit_error"}
_AGAIN_IS_USELESS = frozenset(
    {"model_damaged", "request_expired"}
)  # SDKs try again after every 5xx that does not forbid it


def openai_error(
    status: int, code: str, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error answer."""
    # A name that a client made up may hold half a surrogate pair, which is no UTF-8.
    message, param = _printable(message), None if param is None else _printable(param)
    return JSONResponse(
        {"error": {"message": message, "type": kind_of(status), "param": param, "code": code}}, status, headers
    )


def kind_of(status: int) -> str:
    """OpenAI's type of an error."""
    return _KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")


def internal_error(request_id: str) -> JSONResponse:
    """The answer to a request that met a fault of ours."""
    return openai_error(500, "internal_error", sentence("internal_error", {"request_id": request_id}))


def restarting() -> JSONResponse:
    """The answer to a request that had none when the process had to end."""
    message = sentence("restarting", {"retry_after_s": _RESTART_S})
    return openai_error(503, "restarting", message, headers={"retry-after": str(_RESTART_S)})


def add_error_handlers(app: Starlette) -> None:
    """Let the app answer in this shape; what it does not expect goes up to the middleware."""
    app.add_exception_handler(AppError, _refuse)
    app.add_exception_handler(ShapeError, _refuse_shape)
    app.add_exception_handler(HTTPException, _refuse_route)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, AppError)
    headers = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.code in _AGAIN_IS_USELESS:
        headers["x-should-retry"] = "false"
    param = str(error.params["name"]) if "name" in error.params else None
    return openai_error(error.status, error.code, error.message(), param, headers)


async def _refuse_shape(request: Request, error: Exception) -> JSONResponse:
    del request
    assert isinstance(error, ShapeError)
    first = error.first
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        text = sentence("unknown_parameter", {"name": where, "known": ", ".join(error.shape.model_fields)})
        return openai_error(400, "unknown_parameter", text, where)
    return openai_error(400, "invalid_parameter", f"{where or 'the body'}: {first['msg']}.", where or None)


async def _refuse_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path = request.url.path[:200]
    if error.status_code == 404:
        return openai_error(404, "not_found_route", sentence("not_found_route", {"path": path}))
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "")
        text = sentence("method_not_allowed", {"method": request.method, "path": path, "allowed": allowed})
        return openai_error(405, "method_not_allowed", text, headers=error.headers)
    text = sentence("invalid_body", {"where": "the body", "reason": str(error.detail)})
    return openai_error(error.status_code, "invalid_body", text)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
