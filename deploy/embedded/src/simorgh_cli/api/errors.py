"""Owns what a client of the API may meet: a refusal in the API's own words, and silence."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import httpx

from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.domain.messages import sentence

_IN_OUR_WORDS = {"on_error=skip": "--on-error skip", "name one with runId": "name one by its id"}
"""What the API calls otherwise than the command line."""


class RefusedError(AppError):
    """The API answered no. The sentence is its own; `details` are several errors of one input."""

    def __init__(self, status: int, code: str, reason: str, details: Sequence[str] = ()) -> None:
        reason = _in_our_words(code, reason)
        # One error is told in the sentence already.
        super().__init__(
            "api_refused", reason=reason, details=[one for one in details if _in_our_words(code, one) not in reason]
        )
        self.status = status
        self.code = code

    @property
    def may_pass(self) -> bool:
        """Whether asking again later may help."""
        return self.status >= httpx.codes.INTERNAL_SERVER_ERROR or self.status == httpx.codes.TOO_MANY_REQUESTS


class LostError(UnavailableError):
    """Nothing answers at the API's address, or no longer."""


class CutError(LostError):
    """The connection stood and broke: asking again may well help."""


def _in_our_words(code: str, reason: str) -> str:
    for theirs, ours in _IN_OUR_WORDS.items():
        reason = reason.replace(theirs, ours)
    if code == "unknown_parameter":  # what the user wrote stays as it was written
        said, known, names = reason.partition("Known parameters: ")
        return said + known + _snake_case(names)
    if code == "invalid_parameter":
        name, rest = reason.split(" ", 1)
        return f"{_snake_case(name)} {rest}"
    return reason


def _snake_case(names: str) -> str:
    return re.sub(r"(?<=[a-z])[A-Z]", lambda found: f"_{found[0].lower()}", names)


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer that was read.

    Raises: RefusedError for an answer that is no success, or none of our API's.
    """
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_error or not isinstance(body, dict):
        raise_refusal(answer)
    return body


def raise_refusal(answer: httpx.Response) -> NoReturn:
    """Raise what an answer says that is no success.

    Raises: RefusedError, also for an answer that is none of our API's.
    """
    try:
        body = answer.json()
    except ValueError:
        body = None
    said = body.get("error") if isinstance(body, dict) else None
    if isinstance(said, str):  # the native surface
        raise RefusedError(answer.status_code, str(body.get("code", "")), said, body.get("errors") or ())
    if isinstance(said, dict) and "message" in said:  # OpenAI's
        raise RefusedError(answer.status_code, str(said.get("code", "")), str(said["message"]))
    raise RefusedError(answer.status_code, "request_refused", _foreign(answer))


def _foreign(answer: httpx.Response) -> str:
    request = f"{answer.request.method} {answer.request.url}"
    reason = " ".join(answer.text[:200].split()) or answer.reason_phrase
    return sentence("request_refused", {"request": request, "status": answer.status_code, "reason": reason})
