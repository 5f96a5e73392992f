"""Turns what went wrong into the answer of a surface: problem+json under /api, OpenAI's object under /v1."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from fastapi.exceptions import RequestValidationError
from psycopg.errors import UntranslatableCharacter
from pydantic import BaseModel
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.messages import sentence
from simorgh_shared.logging import cause
from simorgh_shared.schemas.wording import parameter_names, reason_of, shown

log = structlog.get_logger()
_RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Problem:
    """An error as every surface can tell it."""

    status: int
    code: str
    message: str
    param: str | None = None
    errors: Sequence[str] = ()
    data: Mapping[str, object] = field(default_factory=dict)
    retry_after_s: int | None = None
    allowed: Sequence[str] = ()
    """The methods that there are at a path."""

    def headers(self) -> dict[str, str]:
        """`Retry-After`, and for conflicts the word that stops SDKs from trying again."""
        headers = {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(self.retry_after_s)
        if self.status == HTTPStatus.CONFLICT:
            headers["x-should-retry"] = "false"
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        if self.allowed:
            headers["allow"] = ", ".join(self.allowed)
        return headers


class _ErrorResponse(JSONResponse):
    """JSON that repeats what was sent, which may hold half a surrogate pair: no UTF-8 has that."""

    def render(self, content: Any) -> bytes:
        """What cannot be encoded becomes a question mark."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Shape(Protocol):
    """How a surface writes an error."""

    def __call__(self, request: Request, problem: Problem) -> Response:
        """The answer."""
        ...


def native_shape(request: Request, problem: Problem) -> Response:
    """RFC 9457 with the envelope's members."""
    body = {
        **problem.data,
        "ok": False,
        "code": problem.code,
        "error": problem.message,
        "errors": list(problem.errors),
        "type": f"urn:simorgh:error:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "instance": request.url.path,
        "request_id": request_id(request),
    }
    return _ErrorResponse(body, problem.status, problem.headers(), media_type="application/problem+json")


_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def openai_shape(request: Request, problem: Problem) -> Response:
    """OpenAI's error object; a body of the wrong shape is a 400 there."""
    status = 400 if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY else problem.status
    kind = _OPENAI_TYPES.get(problem.status, "server_error" if problem.status >= 500 else "invalid_request_error")
    error = {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code}
    return _ErrorResponse({"error": error}, status, problem.headers())


def request_id(request: Request) -> str:
    """The id that the middleware gave the request."""
    return str(request.scope.get("simorgh.request_id", ""))


def to_problem(request: Request, error: Exception, body_model: type[BaseModel] | None = None) -> Problem:
    """The problem that an exception means; one that nobody expected is logged and kept to ourselves."""
    if isinstance(error, AppError):
        return Problem(
            error.status,
            error.code,
            error.message(),
            str(error.params["name"]) if "name" in error.params else None,
            error.details,
            error.data,
            error.retry_after_s,
        )
    if isinstance(error, RequestValidationError):
        is_json = "json" in request.headers.get("content-type", "json").lower()
        return shape_problem(error.errors(), body_model, is_json=is_json)
    if is_database_outage(error):
        log.warning("database_unavailable", reason=cause(error))
        message = sentence("database_unavailable", {"retry_after_s": _RETRY_AFTER_S})
        return Problem(503, "database_unavailable", message, retry_after_s=_RETRY_AFTER_S)
    if isinstance(error, DataError) and _is_nul(error):
        message = sentence("invalid_body", {"where": "the request", "reason": "a text holds a NUL character"})
        return Problem(400, "invalid_body", message)
    if isinstance(error, HTTPException) and error.status_code == HTTPStatus.BAD_REQUEST:
        # The framework's word for a body that it could not even decode.
        reason = "it cannot be read; send JSON in UTF-8"
        return Problem(400, "invalid_body", sentence("invalid_body", {"where": "the body", "reason": reason}))
    log.error("request_crashed", path=request.url.path, exc_info=error)
    message = sentence("internal_error", {"request_id": request_id(request)})
    return Problem(500, "internal_error", message)


def _is_nul(error: DataError) -> bool:
    """Whether a text holds what PostgreSQL takes neither in texts (psycopg says so) nor in JSON (the server does)."""
    return isinstance(error.orig, UntranslatableCharacter) or "NUL" in str(error.orig)


def is_database_outage(error: Exception) -> bool:
    """Whether the database did not answer, or not in time."""
    return isinstance(error, OperationalError | PoolTimeoutError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def shape_problem(errors: Sequence[Any], body_model: type[BaseModel] | None, *, is_json: bool = True) -> Problem:
    """The sentences for a body or parameters that do not fit, in place of the framework's own shape.

    `is_json` tells what the request says of its body: one that curl sends as a form is not even looked into.
    """
    if not is_json and any(tuple(error["loc"]) == ("body",) for error in errors):
        reason = "it was not sent as JSON: add the header content-type: application/json"
        return Problem(422, "invalid_body", sentence("invalid_body", {"where": "the body", "reason": reason}))
    sentences, codes, params = [], [], []
    unknown = [_place(error) for error in errors if error["type"] == "extra_forbidden"]
    for error in errors:
        where = _place(error)
        params.append(where)
        if error["type"] == "extra_forbidden":
            codes.append("unknown_parameter")
            if where == unknown[0]:  # one sentence for all of them: the list of those that there are is long
                known = ", ".join(parameter_names(body_model)) if body_model is not None else ""
                sentences.append(sentence("unknown_parameter", {"name": ", ".join(unknown), "known": known}))
            continue
        code, text = _misfit(error, where)
        codes.append(code)
        sentences.append(text)
    return Problem(422, codes[0], " ".join(sentences), params[0], sentences)


def _place(error: Mapping[str, Any]) -> str:
    place = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    return ".".join(place) or "the body"


def _misfit(error: Mapping[str, Any], where: str) -> tuple[str, str]:
    """The code and the sentence of one error."""
    if error["type"] == "json_invalid":
        reason = f"it is no JSON ({error['ctx']['error']}, at character {error['loc'][-1]})"
        return "invalid_body", sentence("invalid_body", {"where": "the body", "reason": reason})
    given, reason = error.get("input"), reason_of(error)
    is_quotable = isinstance(given, str | int | float | bool) and where != "the body" and "password" not in where
    if is_quotable:
        return "invalid_parameter", sentence(
            "invalid_parameter", {"name": where, "value": shown(given), "reason": reason}
        )
    return "invalid_body", sentence("invalid_body", {"where": where, "reason": reason})
