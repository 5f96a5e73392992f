"""Owns what a client of the API may meet: a refusal in the API's own words, and silence."""

import re
from collections.abc import Sequence
from typing import Any, NoReturn

import httpx

from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.domain.messages import sentence

_IN_OUR_WORDS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"on_error=skip", "--on-error skip"),
        (r"There is nothing at .*\. The API is described at /docs\.", "There is nothing of this name."),
        (r"^/\S+ takes no query parameter", "This platform takes no query parameter"),
        (r"^[A-Z]+ is not allowed at .*\. Use .*\.$", "This platform cannot do that. It may be of another version."),
        (r"name one with runId", "name one by its id"),
        (r"Get a new one with POST /api/auth/refresh, or sign in again\.", "Sign in again with: simorgh login"),
        (r"Sign in again, or make a key with POST /api/keys\.", "Sign in again with: simorgh login"),
        (r"Make a new one with POST /api/keys\.", "Unset SIMORGH_API_KEY and sign in with: simorgh login"),
        (
            r"Sign in first: send an access token or an API key as Authorization: Bearer …\.",
            "Sign in first with: simorgh login",
        ),
        (r"GET /api/datasets/list names those that there are\.", "See those that there are with: simorgh datasets"),
        (r"GET /api/datasets/([^\s/]+) shows how far they are\.", r"See how far with: simorgh datasets show \1"),
        (
            r"Start them again with POST /api/datasets/[^\s/]+/statistics\.",
            "They can be started again by the API that is described at /docs.",
        ),
        (
            r"GET /api/datasets/([^\s/]+)/versions lists those that there are\.",
            r"See the newest one with: simorgh datasets show \1",
        ),
        (r"POST /api/datasets/([^\s/]+)/convert", r"simorgh datasets convert \1"),
        (r"Begin one with POST /api/datasets/uploads\.", "Run the same simorgh datasets upload again."),
        (
            r"Finish or abort one: GET /api/datasets/uploads lists them\.",
            "Finish one: run the simorgh datasets upload that was interrupted again.",
        ),
        (r"GET /api/tts/voices lists those that there are", "See those that there are with: simorgh speak --voices"),
        (r"GET /api/tts/voices lists the voices that can", "See the voices that can with: simorgh speak --voices"),
        (r"GET /api/models lists all of them", "See all of them with: simorgh models"),
        (r"GET /api/tts/jobs/(\S+) shows how far it is\.", r"Wait for it with: simorgh speak --job \1"),
        (
            r"with POST /api/datasets/uploads\.",
            "with: simorgh datasets upload FILE.zip",
        ),
        (
            r"GET /api/stt/evaluations/(\S+) shows how far it is\.",
            r"Wait for it with: simorgh evaluate-speech --job \1",
        ),
        (
            r"GET /api/optimizations/(\S+) shows how far it is\.",
            r"See how far it is with: simorgh optimizations show \1",
        ),
        (
            r"GET /api/models/([^\s/]+)/aliases lists those that there are\.",
            r"See those that there are with: simorgh models aliases \1",
        ),
        (r" GET /api/chat/history lists a conversation's messages with their ids\.", ""),
        (r" GET /api/monitoring/metrics names those that there are\.", ""),
        (r"Name one of GET /api/tts/voices\.", "Name one of: simorgh speak --voices"),
        (r"folder with POST /api/models/upload\.", "folder with: simorgh models upload FOLDER"),
        (
            r"GET /v1/(?:files|batches) lists those that there are\.",
            "Those that there are lists an OpenAI client: docs/openai.md.",
        ),
        (r"GET /v1/batches lists those that there are\.", "See those that there are with: simorgh jobs --type batch"),
        (r"GET /v1/files lists those that there are\.", "They are listed by the API that is described at /docs."),
        (r"GET /v1/models lists those that there are\.", "See those that there are with: simorgh models"),
        (r"name one of GET /v1/models", "name one of: simorgh models"),
        (r"Train one with POST /api/train/start\.", "Train one with: simorgh train start --watch"),
        (
            r"GET /api/chat/conversations lists those that there are\.",
            "A chat tells its conversation's id when it begins.",
        ),
    )
)
"""What the API calls otherwise than the command line. Paths of the API mean nothing to who has no client for it."""


class RefusedError(AppError):
    """The API answered no. The sentence is its own; `details` are several errors of one input."""

    def __init__(self, status: int, code: str, reason: str, details: Sequence[str] = ()) -> None:
        reason = in_our_words(code, reason)
        # One error is told in the sentence already.
        super().__init__(
            "api_refused", reason=reason, details=[one for one in details if in_our_words(code, one) not in reason]
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


def in_our_words(code: str, reason: str) -> str:
    """A sentence of the API's as the command line says it."""
    for theirs, ours in _IN_OUR_WORDS:
        reason = theirs.sub(ours, reason)
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
