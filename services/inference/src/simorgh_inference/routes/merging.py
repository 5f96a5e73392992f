"""Several answers to one request, worked on at the same time, as one stream of pieces."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any


async def merged(sources: Sequence[AsyncGenerator[dict[str, Any], None]]) -> AsyncGenerator[dict[str, Any], None]:
    """The pieces of all sources as they come, each with the number of its source as `index`."""
    if len(sources) == 1:  # as most requests have it: without a task and a queue between the engine and the client
        async with contextlib.aclosing(sources[0]) as pieces:
            async for piece in pieces:
                yield {**piece, "index": 0}
        return
    queue: asyncio.Queue[dict[str, Any] | Exception | None] = asyncio.Queue()

    async def pump(index: int, source: AsyncGenerator[dict[str, Any], None]) -> None:
        try:
            async with contextlib.aclosing(source):
                async for piece in source:
                    queue.put_nowait({**piece, "index": index})
        except Exception as error:
            queue.put_nowait(error)
        else:
            queue.put_nowait(None)

    pumps = [asyncio.create_task(pump(index, source)) for index, source in enumerate(sources)]
    try:
        num_open = len(pumps)
        while num_open:
            got = await queue.get()
            if isinstance(got, Exception):
                raise got
            if got is None:
                num_open -= 1
            else:
                yield got
    finally:
        for one in pumps:
            one.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
