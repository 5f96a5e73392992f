"""A streamed answer that ends when its client leaves."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

NOT_KEPT = {"cache-control": "no-store", "x-accel-buffering": "no"}


class EventStream(Response):
    """Server-sent events, each sent by itself. Starlette's own response keeps two tasks and a task group for the same,
    and does not close what makes the events."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None) -> None:
        """Once the answer has begun the events are closed, whatever ends it."""
        self.status_code = 200
        self.background = None
        self._events = events
        self.init_headers(NOT_KEPT | dict(headers or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of them, or as many as somebody takes."""
        del scope
        serving = asyncio.current_task()
        assert serving is not None
        has_left = False

        def leave(_: object) -> None:
            nonlocal has_left
            has_left = True
            serving.cancel()

        waiting = asyncio.create_task(_left(receive))
        waiting.add_done_callback(leave)
        try:
            await self._send(send)
        except asyncio.CancelledError:
            if not has_left or serving.uncancel():  # whoever stops the server means this task as well
                raise
        finally:
            waiting.remove_done_callback(leave)
            waiting.cancel()

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._events):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for event in self._events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
