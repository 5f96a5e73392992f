"""Owns the connection to an API: sends as whoever is signed in, and turns refusals and silence into errors."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from simorgh_cli.api.errors import CutError, LostError, RefusedError, body_of, raise_refusal

AnswerT = TypeVar("AnswerT")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_ANSWER_S = 60.0
_TRIES = 3  # of a question that may be asked twice, through a connection that breaks
_PAGE = 200  # what the API gives at most in one part


class Credentials(Protocol):
    """Who is asking."""

    def token(self, connection: "Connection") -> str:
        """What goes into the Authorization header."""
        ...

    def renew(self, connection: "Connection", stale: str) -> str | None:
        """Another token in place of one that was refused; None where there can be no other."""
        ...


class Connection:
    """One API, asked as one person or as nobody."""

    def __init__(self, url: str, credentials: Credentials | None = None) -> None:
        self.url = url.rstrip("/")
        self._credentials = credentials
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(_ANSWER_S, connect=5.0),
            headers={"User-Agent": "simorgh-cli"},
            # A proxy of the environment leads outside, never back to this machine.
            trust_env=urlsplit(url).hostname not in _LOOPBACK,
        )

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self._http.close()

    def get(self, path: str, **params: str | int | None) -> dict[str, Any]:
        """The whole body of an answer."""
        return self.call("GET", path, params=params)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Ask and get the whole body of the answer. A question that changes nothing survives a cut.

        Raises: RefusedError with the API's sentence, LostError when nothing answers.
        """
        asked: dict[str, Any] = {"params": _given(params), "headers": dict(headers or {})}
        if body is not None:
            asked["json"] = dict(body)
        for _ in range(_TRIES - 1 if method == "GET" else 0):
            with suppress(CutError):
                return self._whole(method, path, asked)
        return self._whole(method, path, asked)

    def ask_anonymously(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Ask as nobody. The answer is not looked at: probes tell bad news with a status too.

        Raises: LostError when nothing answers.
        """
        with self._telling_losses():
            return self._http.request(method, path, json=dict(body) if body is not None else None)

    def pages(self, path: str, limit: int, **params: str | int | None) -> list[dict[str, Any]]:
        """Up to so many things of a list, from as many parts as it takes."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while len(found) < limit:
            part = self.get(path, limit=min(limit - len(found), _PAGE), cursor=cursor, **params)
            found += part["data"]
            cursor = part.get("next_cursor")
            if cursor is None:
                break
        return found

    @contextmanager
    def opened(
        self, method: str, path: str, request: Callable[[], Mapping[str, Any]], *, silence_s: float = _ANSWER_S
    ) -> Iterator[httpx.Response]:
        """An answer whose body is still to come. `request` makes what is sent, anew for each try.

        Raises: RefusedError, also from within; LostError likewise.
        """

        def attempt(token: str | None) -> httpx.Response:
            return self._open(method, path, dict(request()), token, silence_s)

        with self._telling_losses():
            answer = self._signed_in(attempt)
            try:
                yield answer
            finally:
                answer.close()

    def _whole(self, method: str, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self.opened(method, path, lambda: asked) as answer:
            answer.read()
            return body_of(answer)

    def _signed_in(self, attempt: Callable[[str | None], AnswerT]) -> AnswerT:
        if self._credentials is None:
            return attempt(None)
        token = self._credentials.token(self)
        try:
            return attempt(token)
        except RefusedError as error:
            newer = self._credentials.renew(self, token) if error.status == httpx.codes.UNAUTHORIZED else None
            if newer is None:
                raise
        return attempt(newer)

    def _open(
        self, method: str, path: str, asked: dict[str, Any], token: str | None, silence_s: float
    ) -> httpx.Response:
        headers = dict(asked.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        timeout = httpx.Timeout(silence_s, connect=5.0)
        request = self._http.build_request(method, path, headers=headers, timeout=timeout, **asked)
        answer = self._http.send(request, stream=True)
        if answer.is_error:
            try:
                answer.read()
            finally:
                answer.close()
            raise_refusal(answer)
        return answer

    @contextmanager
    def _telling_losses(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            never_stood = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            kind = LostError if never_stood else CutError
            raise kind("api_unreachable", url=self.url, reason=reason.rstrip(".")) from error


def quoted(given: str) -> str:
    """An id as one part of a path, whatever it holds."""
    return quote(given, safe="")


def _given(params: Mapping[str, str | int | None] | None) -> dict[str, str | int]:
    return {name: value for name, value in (params or {}).items() if value is not None}
