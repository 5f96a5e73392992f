"""Request bodies as they come, and answers that go out before a body has ended."""

import asyncio
import contextlib

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from simorgh_shared.domain.errors import InvalidInputError, TooLargeError

_SILENCE_S = 60.0  # a client that sends nothing for so long holds a child and a connection for nothing
_REST_BYTES = 256 << 20  # a file of a few times the default limit: that mistake still reads its sentence
_REST_S = 30.0


class Body:
    """The body of one request, taken piece by piece and counted."""

    def __init__(self, receive: Receive, limit_bytes: int, silence_s: float = _SILENCE_S) -> None:
        self._receive = receive
        self.limit_bytes = limit_bytes
        self._silence_s = silence_s
        self._num_bytes = 0
        self.has_ended = False
        """Whether nothing more comes: all was sent, or the client has left."""

    async def read(self) -> bytes:
        """The next bytes.

        Raises: TooLargeError beyond the limit, InvalidInputError when the client leaves or falls silent.
        """
        try:
            async with asyncio.timeout(self._silence_s):
                chunk = self._take(await self._receive())
        except TimeoutError as error:
            raise InvalidInputError("upload_unreadable", reason=f"nothing came for {self._silence_s:g} s") from error
        if chunk is None:
            raise InvalidInputError("upload_unreadable", reason="the client left before the end")
        if self._num_bytes > self.limit_bytes:
            raise TooLargeError("body_too_large", limit_bytes=self.limit_bytes)
        return chunk

    async def drop_rest(self) -> None:
        """Take what still comes and drop it, up to a bound in bytes and in time."""
        last = self._num_bytes + _REST_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REST_S):
                while not self.has_ended and self._num_bytes < last:
                    self._take(await self._receive())

    def _take(self, message: Message) -> bytes | None:
        chunk: bytes | None = None if message["type"] == "http.disconnect" else message.get("body", b"")
        self.has_ended = chunk is None or not message.get("more_body", False)
        self._num_bytes += len(chunk or b"")
        return chunk


class EarlyAnswer(Response):
    """An answer while the client is still sending: sent at once, then a bounded rest of the body is dropped.

    Many clients read only when they have sent everything. A connection closed before that is reset, and with it
    goes the sentence that says why. One that waits with `Expect: 100-continue` need not send the body at all.
    """

    def __init__(self, answer: Response, body: Body) -> None:
        super().__init__(answer.body, answer.status_code, dict(answer.headers) | {"connection": "close"})
        self._rest = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it but the end, which closes the connection."""

        async def send_open(message: Message) -> None:
            await send({**message, "more_body": True} if message["type"] == "http.response.body" else message)

        await super().__call__(scope, receive, send_open)
        await self._rest.drop_rest()
        await send({"type": "http.response.body", "body": b"", "more_body": False})
