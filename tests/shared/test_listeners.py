"""Answers that are sent as long as somebody listens."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from simorgh_shared.listeners import while_somebody_listens


class Client:
    """What a server hears of a client."""

    def __init__(self) -> None:
        self._left = asyncio.Event()

    def leave(self) -> None:
        """Hang up."""
        self._left.set()

    async def receive(self) -> dict[str, Any]:
        """The one message that comes when the body has been read."""
        await self._left.wait()
        return {"type": "http.disconnect"}


class Sending:
    """An answer that waits for ever after its first piece."""

    def __init__(self) -> None:
        self.has_begun = asyncio.Event()
        self.was_ended = False

    async def run(self) -> None:
        """Send."""
        try:
            self.has_begun.set()
            await asyncio.Event().wait()
        finally:
            self.was_ended = True


def run(make: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(10):
            await make()

    asyncio.run(within())


class TestWhileSomebodyListens:
    def test_an_answer_ends_by_itself(self) -> None:
        """R-CHAT-1."""

        async def check() -> None:
            sent: list[int] = []

            async def send() -> None:
                sent.append(1)

            await while_somebody_listens(Client().receive, send())
            assert sent == [1]

        run(check)

    def test_who_leaves_ends_it_and_nobody_hears_of_that(self) -> None:
        """R-CHAT-3: what comes after it in the same task goes on."""

        async def check() -> None:
            client, sending = Client(), Sending()
            serving = asyncio.create_task(while_somebody_listens(client.receive, sending.run()))
            await sending.has_begun.wait()
            client.leave()
            await serving
            assert sending.was_ended
            assert not serving.cancelled()
            assert serving.cancelling() == 0

        run(check)

    @pytest.mark.parametrize("leaves_too", [False, True])
    def test_who_stops_the_server_ends_the_task(self, leaves_too: bool) -> None:
        """R-CHAT-3: also where the client leaves at the same moment."""

        async def check() -> None:
            client, sending = Client(), Sending()
            serving = asyncio.create_task(while_somebody_listens(client.receive, sending.run()))
            await sending.has_begun.wait()
            if leaves_too:
                client.leave()
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert sending.was_ended

        run(check)

    def test_its_own_errors_are_told(self) -> None:
        """R-API-3."""

        async def check() -> None:
            async def send() -> None:
                raise ConnectionError("the other end")

            with pytest.raises(ConnectionError, match="the other end"):
                await while_somebody_listens(Client().receive, send())

        run(check)
