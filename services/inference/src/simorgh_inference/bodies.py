"""Reads the body of a request as one of the shapes in schema.py, and says what does not fit.

The server is Starlette's and not FastAPI's: what FastAPI does for a request took a third of the front's time for it,
and the engine waits for the front where all clients ask at once (docs/performance.md, Serving).
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from simorgh_inference import metrics
from simorgh_shared.domain.errors import InvalidInputError

_Body = TypeVar("_Body", bound=BaseModel)
_SHOWN_CHARACTERS = 80


class ShapeError(Exception):
    """What does not fit in a body, each with its place."""

    def __init__(self, errors: Sequence[ErrorDetails], shape: type[BaseModel]) -> None:
        super().__init__(errors)
        self.first = errors[0]
        self.shape = shape


async def read_body(request: Request, shape: type[_Body]) -> _Body:
    """The body.

    Raises: InvalidInputError for what is no JSON; ShapeError.
    """
    try:
        return shape.model_validate(_parsed(request.headers.get("content-type", ""), await request.body()))
    except ValidationError as error:
        metrics.REQUESTS.labels("refused").inc()
        raise ShapeError(error.errors(include_url=False), shape) from None
    except InvalidInputError:
        metrics.REQUESTS.labels("refused").inc()
        raise


def _parsed(content_type: str, body: bytes) -> Any:
    # A page of another site can have a browser send any other type without asking.
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        said = json.dumps(kind[:_SHOWN_CHARACTERS]) if kind else "missing"
        raise _unreadable(f"its content-type is {said}, and has to be application/json")
    try:
        return json.loads(body)
    except UnicodeDecodeError:
        raise _unreadable("it is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise _unreadable(f"it is no JSON ({error.msg})") from None
    except RecursionError:
        raise _unreadable("it is nested too deeply") from None


def _unreadable(reason: str) -> InvalidInputError:
    return InvalidInputError("invalid_body", where="the body", reason=reason)
