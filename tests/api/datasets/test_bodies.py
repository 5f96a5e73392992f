"""Bodies that never end (R-DATA-1): what the gateway takes of them."""

import asyncio

import pytest
from starlette.types import Message

from simorgh_api.uploads.bodies import Body
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError

MEGABYTE = 1 << 20


class Sender:
    """A client that sends a megabyte whenever it is asked."""

    num_sent = 0

    async def receive(self) -> Message:
        """More of the body."""
        self.num_sent += 1
        return {"type": "http.request", "body": bytes(MEGABYTE), "more_body": True}


async def silence() -> Message:
    """Nothing, for ever."""
    await asyncio.Event().wait()
    raise AssertionError


class TestRead:
    def test_a_client_that_falls_silent_is_not_waited_for(self) -> None:
        """R-DATA-1: it would hold a child for nothing."""
        body = Body(silence, 10, silence_s=0.01)
        with pytest.raises(InvalidInputError, match=r"nothing came for 0\.01 s"):
            asyncio.run(body.read())
        assert not body.has_ended

    def test_no_more_is_taken_than_the_limit(self) -> None:
        """R-DATA-1."""
        sender = Sender()
        body = Body(sender.receive, 3 * MEGABYTE)

        async def take() -> None:
            while True:
                await body.read()

        with pytest.raises(TooLargeError):
            asyncio.run(take())
        assert sender.num_sent == 4


class TestDropRest:
    def test_it_ends_though_the_client_does_not(self) -> None:
        """R-DATA-1: a refusal costs a bounded amount."""
        sender = Sender()
        asyncio.run(Body(sender.receive, 1).drop_rest())
        assert sender.num_sent == 256

    def test_it_ends_with_the_client(self) -> None:
        """R-DATA-1."""
        messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"x"}]

        async def receive() -> Message:
            return messages.pop(0)

        body = Body(receive, 1)
        asyncio.run(body.drop_rest())
        assert body.has_ended
        assert len(messages) == 1
