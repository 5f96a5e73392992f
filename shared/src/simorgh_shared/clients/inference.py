"""Asks the inference server: one pooled client a process, answers as they come, and what its silence means.

It knows the server's protocol (OpenAI's shapes and our headers) and nothing of who is asking. aiohttp and not httpx:
a chat's many small pieces cost the gateway a third of its time with the latter (docs/performance.md, Serving). It is
imported with the first request: until then a process does without its 9 MB.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog

from simorgh_shared import tracing
from simorgh_shared.domain.errors import UnavailableError

if TYPE_CHECKING:
    import aiohttp

log = structlog.get_logger()
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
_RETRY_AFTER_S = 5
_CONNECT_S = 5.0
_ANSWER_S = 600.0  # the first answer of a large model waits until it is loaded
_LOOK_TIMEOUT_S = 5.0
_LOAD_TIMEOUT_S = 45.0  # less than command lines wait; then its first requests wait for the rest
# The server says when it is full; idle connections end before uvicorn, after 5 s, would close them under a request.
_IDLE_S = 2.0


class RefusedError(Exception):
    """The inference server's own word for why there is no answer, or why it broke off."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class ServerModels:
    """What the inference server has at hand, by model version."""

    cached: frozenset[str]
    """Versions whose folder lies in its cache."""
    loaded: Mapping[str, Mapping[str, Any]]
    """Versions that an engine holds, with the engine's state."""


class Upstream:
    """An answer of the server whose head has come. Close it: that is what stops the generation."""

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    @property
    def is_stream(self) -> bool:
        """Whether it comes as server-sent events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def aclose(self) -> None:
        """Leave the answer; the server then stops working on it."""
        self._response.close()

    async def read(self) -> bytes:
        """All of it.

        Raises: UnavailableError when the server falls silent.
        """
        async with contextlib.aclosing(self):
            with _silence():
                return await self._response.read()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """Its bytes as they come, never less than a line: what breaks off leaves no half event behind.

        Raises: UnavailableError when the server falls silent.
        """
        rest = b""
        with _silence():
            async for chunk in self._response.content.iter_any():
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline:
                    yield whole + newline

    async def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON of its server-sent events, until `[DONE]`.

        Raises: UnavailableError when it ends or falls silent before that.
        """
        async with contextlib.aclosing(self.lines()) as parts:
            async for part in parts:
                # Bytes are split at \n alone: a text may hold what else counts as a line's end (U+2028).
                for line in part.split(b"\n"):
                    if not line.startswith(b"data:"):
                        continue  # a comment, or the empty line between events
                    data = line.removeprefix(b"data:").strip()
                    if data == b"[DONE]":
                        return
                    yield json.loads(data)
        raise UnavailableError("inference_unavailable", retry_after_s=_RETRY_AFTER_S)

    async def refusal(self) -> RefusedError:
        """Why it is no answer."""
        body = await self.read()
        retry_after = self.headers.get("retry-after", "")
        try:
            error = json.loads(body)["error"]
            code, message, param = str(error["code"]), str(error["message"]), error.get("param")
        except (ValueError, KeyError, TypeError) as cause:
            log.error("inference_answer_unreadable", status=self.status, body=body[:200].decode(errors="replace"))
            raise UnavailableError("inference_unavailable", retry_after_s=_RETRY_AFTER_S) from cause
        return RefusedError(self.status, code, message, param, int(retry_after) if retry_after.isdecimal() else None)


class Reply:
    """A streamed chat completion, read as the text that it says."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._events = upstream.events()
        self._first: dict[str, Any] = {}
        self._pieces: list[str] = []
        self.finish_reason: str | None = None
        self.usage: dict[str, int] | None = None

    @property
    def text(self) -> str:
        """What has been said so far."""
        return "".join(self._pieces)

    @property
    def turns_cut(self) -> int:
        """Turns that the server left out for the window's sake."""
        told = self._upstream.headers.get("x-simorgh-turns-cut", "")
        return int(told) if told.isdecimal() else 0

    async def begin(self) -> None:
        """Wait for the first word of the server.

        Raises: RefusedError, or UnavailableError when the server falls silent.
        """
        if self._upstream.status != HTTPStatus.OK:
            raise await self._upstream.refusal()
        self._first = _checked(await anext(self._events))

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The text as it comes; `finish_reason` and `usage` are known after the last piece.

        Raises: RefusedError when it breaks off, UnavailableError when the server falls silent.
        """
        event: dict[str, Any] | None = self._first
        while event is not None:
            self.usage = event.get("usage") or self.usage
            for choice in event.get("choices", ()):
                self.finish_reason = choice.get("finish_reason") or self.finish_reason
                # A model may say NUL, which PostgreSQL takes in no text.
                if piece := (choice["delta"].get("content") or "").replace("\0", "\ufffd"):
                    self._pieces.append(piece)
                    yield piece
            following = await anext(self._events, None)
            event = None if following is None else _checked(following)

    async def aclose(self) -> None:
        """Leave it; the server then stops working on it."""
        await self._events.aclose()
        await self._upstream.aclose()


class InferenceClient:
    """The process's one client of the server; connections are kept and shared."""

    def __init__(self, url: str, key: str | None) -> None:
        """It belongs to the event loop that asks first."""
        self._url = url.rstrip("/")
        self._headers = {"content-type": "application/json"}
        if key is not None:
            self._headers["x-simorgh-internal-key"] = key
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def open_chat(
        self, body: Mapping[str, Any], *, model_name: str, request_id: str, fits_turns: bool = False
    ) -> Upstream:
        """Ask for a chat completion. `body` names the model by its version; `model_name` is what users call it.

        With `fits_turns` the server leaves out the oldest whole turns where the window does not hold all.
        Raises: UnavailableError when the server does not answer.
        """
        fit = {"x-simorgh-fit": "cut-turns"} if fits_turns else None
        return await self.open(CHAT, body, model_name=model_name, request_id=request_id, headers=fit)

    async def open(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        model_name: str,
        request_id: str,
        headers: Mapping[str, str] | None = None,
    ) -> Upstream:
        """Ask for what a model makes of a body, as `open_chat` does.

        Raises: UnavailableError when the server does not answer.
        """
        told = {"x-request-id": request_id, "x-simorgh-model-name": quote(model_name), **(headers or {})}
        return await self._open("POST", path, told, body)

    async def models(self, request_id: str) -> ServerModels:
        """What it has at hand.

        Raises: UnavailableError when the server does not answer.
        """
        upstream = await self._open("GET", "/internal/models", {"x-request-id": request_id}, within_s=_LOOK_TIMEOUT_S)
        if upstream.status != HTTPStatus.OK:
            refused = await upstream.refusal()
            raise UnavailableError("inference_unavailable", retry_after_s=_RETRY_AFTER_S) from refused
        told = json.loads(await upstream.read())
        return ServerModels(frozenset(told["cached"]), told["loaded"])

    async def ready_to_follow(self, version_id: str, former_id: str, request_id: str) -> bool:
        """Have a version loaded that is about to get another one's requests; False where it was not.

        Raises: RefusedError for one that cannot be served, UnavailableError.
        """
        body, told = {"model": version_id, "former": former_id}, {"x-request-id": request_id}
        upstream = await self._open("POST", "/internal/models/follow", told, body, within_s=_LOAD_TIMEOUT_S)
        if upstream.status != HTTPStatus.OK:
            raise await upstream.refusal()
        return bool(json.loads(await upstream.read())["ready"])

    async def _open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        within_s: float | None = None,
    ) -> Upstream:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(limit=0, keepalive_timeout=_IDLE_S),
                headers=self._headers,
                auto_decompress=False,
            )
        timeout = ClientTimeout(total=None, sock_connect=within_s or _CONNECT_S, sock_read=within_s or _ANSWER_S)
        data, told = None if body is None else _encoded(body), tracing.outgoing(headers)
        with _silence():
            response = await self._session.request(
                method, self._url + path, data=data, headers=told, timeout=timeout, allow_redirects=False
            )
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # Ours to repair: whoever asks the gateway has shown the right credentials.
            response.close()
            log.error("inference_refused_our_key", status=response.status)
            raise UnavailableError("inference_unavailable", retry_after_s=_RETRY_AFTER_S)
        return Upstream(response)


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()  # half a surrogate pair: the server refuses it in words


def _checked(event: dict[str, Any]) -> dict[str, Any]:
    if "error" in event:
        error = event["error"]
        raise RefusedError(HTTPStatus.BAD_GATEWAY, error["code"], error["message"], error.get("param"))
    return event


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    from aiohttp import ClientError

    try:
        yield
    except (ClientError, TimeoutError) as error:
        raise UnavailableError("inference_unavailable", retry_after_s=_RETRY_AFTER_S) from error
