"""An answer that is sent as long as somebody listens (ASGI)."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any


async def while_somebody_listens(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], sending: Coroutine[Any, Any, None]
) -> None:
    """Send, and cancel that when the client leaves. The request's body must have been read.

    Starlette's own stream does it with a task group, two tasks and their scopes, which a chat's short answer costs
    more than all its pieces.
    """
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
        await sending
    except asyncio.CancelledError:
        if not has_left or serving.uncancel():  # whoever stops the server means this task as well
            raise
    finally:
        waiting.remove_done_callback(leave)
        waiting.cancel()


async def _left(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
