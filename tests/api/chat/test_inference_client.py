"""The client of the inference server against a socket that says exactly what a test wants."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from simorgh_shared.clients.inference import InferenceClient, RefusedError, Reply
from simorgh_shared.domain.errors import UnavailableError

TEXT = "می‌روم به خانه 🐦‍🔥\u2028و برمی‌گردم"
_HEAD = "HTTP/1.1 {} x\r\ncontent-type: {}\r\n{}transfer-encoding: chunked\r\n\r\n"
_SSE = "text/event-stream; charset=utf-8"


def sse(*deltas: str, finish: str | None = "stop") -> bytes:
    """A stream of these deltas with all its decorations; half of one where `finish` is None."""
    chunks: list[dict[str, Any]] = [{"choices": [{"delta": {"content": text}}]} for text in deltas]
    if finish is not None:
        chunks.append({"choices": [{"delta": {}, "finish_reason": finish}]})
        chunks.append({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
    return (": hello\n\n" + "".join(lines) + ("data: [DONE]\n\n" if finish else "")).encode()


@contextlib.asynccontextmanager
async def server(
    body: bytes, status: int = 200, kind: str = _SSE, more: str = "", each: int = 1, whole: bool = True
) -> AsyncIterator[tuple[InferenceClient, list[str]]]:
    """A client of a server that answers with `body` in chunks of `each` bytes; unless `whole` it hangs up then."""
    heads: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        length = next((line for line in head.lower().split("\r\n") if line.startswith("content-length")), "x: 0")
        await reader.readexactly(int(length.partition(":")[2]))
        writer.write(_HEAD.format(status, kind, more).encode())
        for at in range(0, len(body), each):
            part = body[at : at + each]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        if whole:
            writer.write(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = InferenceClient(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", "the key")
    try:
        yield client, heads
    finally:
        await client.close()
        listener.close()


async def read(client: InferenceClient) -> tuple[list[str], Reply]:
    """The pieces of a reply."""
    upstream = await client.open_chat({"model": "v"}, model_name="نام", request_id="req-1", fits_turns=True)
    reply = Reply(upstream)
    async with contextlib.aclosing(reply):
        await reply.begin()
        return [piece async for piece in reply.pieces()], reply


def run(make: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(make(), 30))  # type: ignore[arg-type]


class TestReply:
    @pytest.mark.parametrize("each", [1, 2, 3, 7, 10_000])
    def test_no_border_between_chunks_splits_a_character(self, each: int) -> None:
        """R-CHAT-2: whatever the network makes of the bytes; a line separator in a text ends no line."""

        async def check() -> None:
            deltas = [TEXT, "\u2029", TEXT[:9], "\0"]
            async with server(sse(*deltas), each=each, more="x-simorgh-turns-cut: 3\r\n") as (client, _):
                pieces, reply = await read(client)
            assert pieces == [*deltas[:3], "\ufffd"]  # PostgreSQL takes no NUL
            assert reply.text == "".join(pieces)
            assert (reply.finish_reason, reply.turns_cut) == ("stop", 3)
            assert reply.usage == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}

        run(check)

    def test_it_says_who_asks_for_what(self) -> None:
        """R-API-3: the request's id reaches the server, with the key, the model's name and the wish to fit."""

        async def check() -> None:
            async with server(sse("x")) as (client, heads):
                _, reply = await read(client)
            assert reply.turns_cut == 0
            sent = dict(line.split(": ", 1) for line in heads[0].strip().split("\r\n")[1:])
            assert sent["x-request-id"] == "req-1"
            assert sent["x-simorgh-internal-key"] == "the key"
            assert sent["x-simorgh-model-name"] == "%D9%86%D8%A7%D9%85"
            assert sent["x-simorgh-fit"] == "cut-turns"

        run(check)

    @pytest.mark.parametrize("whole", [True, False])
    def test_an_end_before_the_end_is_silence(self, whole: bool) -> None:
        """R-CHAT-3: neither a server that hangs up nor one that stops early passes for a whole answer."""

        async def check() -> None:
            async with server(sse("سلام", finish=None), whole=whole) as (client, _):
                with pytest.raises(UnavailableError, match="does not answer"):
                    await read(client)

        run(check)

    def test_an_error_in_the_stream_is_the_servers_word(self) -> None:
        """R-CHAT-3."""

        async def check() -> None:
            error = {"error": {"message": "The engine has died.", "code": "engine_lost"}}
            body = sse("x", finish=None) + f"data: {json.dumps(error)}\n\n".encode()
            async with server(body) as (client, _):
                with pytest.raises(RefusedError, match="The engine has died") as refused:
                    await read(client)
            assert (refused.value.status, refused.value.code) == (502, "engine_lost")

        run(check)

    def test_a_refusal_keeps_its_status_and_when_to_try_again(self) -> None:
        """R-CHAT-3, R-API-3."""

        async def check() -> None:
            body = json.dumps({"error": {"message": "Full.", "code": "engine_busy"}}).encode()
            async with server(body, 429, "application/json", "retry-after: 1\r\n") as (client, _):
                with pytest.raises(RefusedError, match=r"Full\.") as refused:
                    await read(client)
            assert (refused.value.status, refused.value.retry_after_s) == (429, 1)

        run(check)

    @pytest.mark.parametrize(("status", "body"), [(401, b"{}"), (403, b"{}"), (500, b"Internal Server Error")])
    def test_our_own_troubles_are_not_the_askers(self, status: int, body: bytes) -> None:
        """R-API-3: a wrong internal key or an unreadable answer is 503, never 401 to someone who is signed in."""

        async def check() -> None:
            async with server(body, status, "text/plain") as (client, _):
                with pytest.raises(UnavailableError):
                    await read(client)

        run(check)
