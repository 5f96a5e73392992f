"""Streams that wait and streams that are left, without a server between."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from simorgh_api.asking import ClosingStream, or_silence
from simorgh_api.streams import woken


def run(make: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(make(), 30))  # type: ignore[arg-type]


class Source:
    """What a stream is made from."""

    def __init__(self) -> None:
        self.is_closed = False

    async def aclose(self) -> None:
        """Note it."""
        self.is_closed = True


class TestClosingStream:
    def test_a_client_that_leaves_before_the_first_piece_closes_the_source(self) -> None:
        """R-CHAT-3: a generator that has not begun cleans nothing up; one that waits to be sent is not running."""

        async def check() -> None:
            for num_sent in (0, 1, 2):
                source, sent = Source(), 0
                told: list[str] = []

                async def pieces(told: list[str] = told) -> AsyncGenerator[str, None]:
                    try:
                        yield "a"
                        yield "b"
                    finally:
                        told.append("closed")

                stuck = asyncio.Event()

                async def send(message: Any, limit: int = num_sent, stuck: asyncio.Event = stuck) -> None:
                    nonlocal sent
                    if sent == limit:
                        stuck.set()
                        await asyncio.Event().wait()
                    sent += 1

                async def receive(stuck: asyncio.Event = stuck) -> dict[str, Any]:
                    await stuck.wait()
                    return {"type": "http.disconnect"}

                scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
                await ClosingStream(pieces(), source)(scope, receive, send)
                assert source.is_closed
                assert told == (["closed"] if num_sent else [])

        run(check)

    def test_a_client_that_leaves_as_its_job_has_news(self) -> None:
        """R-VOICE-1: the news and the leaving come in one turn of the event loop, and neither hides the other."""

        async def check() -> None:
            source, news = Source(), asyncio.Event()

            async def pieces() -> AsyncGenerator[str, None]:
                while True:
                    news.clear()
                    yield "a"
                    await woken(news, 20)

            is_sent = asyncio.Event()

            async def send(message: Any) -> None:
                if message.get("body"):
                    is_sent.set()

            async def receive() -> dict[str, Any]:
                await is_sent.wait()
                await asyncio.sleep(0.01)  # until the stream waits again
                news.set()
                return {"type": "http.disconnect"}

            scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
            async with asyncio.timeout(5):
                await ClosingStream(pieces(), source)(scope, receive, send)
            assert source.is_closed

        run(check)


class TestOrSilence:
    def test_silence_is_told_until_the_next_piece(self) -> None:
        """R-CHAT-2: proxies keep a stream open that says something; the piece itself is not lost by waiting."""

        async def check() -> None:
            spoken = asyncio.Event()

            async def pieces() -> AsyncGenerator[str, None]:
                yield "a"
                await spoken.wait()
                yield "b"

            seen: list[str | None] = []
            async for piece in or_silence(pieces(), silence_s=0.02):
                seen.append(piece)
                if seen.count(None) == 2:
                    spoken.set()
            assert seen[0] == "a"
            assert seen[-1] == "b"
            assert set(seen[1:-1]) == {None}

        run(check)

    def test_leaving_ends_the_reading(self) -> None:
        """R-CHAT-3: what reads the server is closed with it."""

        async def check() -> None:
            closed = asyncio.Event()

            async def pieces() -> AsyncGenerator[str, None]:
                try:
                    await asyncio.Event().wait()
                    yield "never"
                finally:
                    closed.set()

            async with contextlib.aclosing(or_silence(pieces(), silence_s=0.02)) as told:
                assert await anext(told) is None
            assert closed.is_set()

        run(check)
