"""What endpoints need to ask the inference server: its client, and to notice when whoever waits for it has left.

Starlette cancels a stream when its client leaves, but no endpoint that is still working on its answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Annotated, Any, Protocol, TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from simorgh_shared.clients.inference import InferenceClient
from simorgh_shared.listeners import while_somebody_listens

T = TypeVar("T")
CLIENT_LEFT = 499
"""What the log calls a request whose client has left; nobody reads that answer."""


class ClientLeftError(Exception):
    """Whoever asked has left before the answer."""


class Closable(Protocol):
    """What a stream is made from, and is closed with it. Closing it twice does nothing."""

    async def aclose(self) -> None:
        """Close it."""
        ...


class ClosingStream(StreamingResponse):
    """A stream that is closed when it ends, in whatever way.

    Its client may leave while a piece is on its way out, when the generator is not running; or before the first one,
    when the generator has nothing to clean up yet and its source has.
    """

    def __init__(
        self, pieces: "AsyncGenerator[bytes, None] | AsyncGenerator[str, None]", source: Closable, **more: Any
    ) -> None:
        super().__init__(pieces, **more)
        self._pieces = pieces
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope
        try:
            await while_somebody_listens(receive, self.stream_response(send))
        finally:
            with anyio.CancelScope(shield=True):
                await self._pieces.aclose()
                await self._source.aclose()


async def get_inference(request: Request) -> InferenceClient:
    """The process's client of the inference server."""
    client: InferenceClient = request.app.state.inference
    return client


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. It is cancelled when the client leaves. The request's body must have been read.

    Raises: ClientLeftError.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_until_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        return working.result()
    finally:
        await _ended(working)
        await _ended(leaving)


async def or_silence(pieces: AsyncGenerator[T, None], silence_s: float) -> AsyncGenerator[T | None, None]:
    """The pieces, and None whenever none has come for so long."""
    reading: asyncio.Task[T | None] | None = None
    try:
        while True:
            reading = asyncio.create_task(_next(pieces))
            while not (await asyncio.wait({reading}, timeout=silence_s))[0]:
                yield None
            if (piece := reading.result()) is None:
                return
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            if reading is not None:
                await _ended(reading)
            await pieces.aclose()


async def _next(pieces: AsyncGenerator[T, None]) -> T | None:
    return await anext(pieces, None)


async def _until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has cleaned up; what it was about to say no longer matters."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


Inference = Annotated[InferenceClient, Depends(get_inference)]
