"""Monitoring over SSE: one reading of the database serves all who follow, however many they are."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from simorgh_api.usecases.monitoring import monitoring

_LOOK_S = 0.2
_FRESH_S = 1.0


class Snapshots:
    """The newest reading of this process, as JSON."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._lock = asyncio.Lock()
        self._read_at = 0.0
        self._text = ""

    async def newest(self) -> str:
        """A reading that is at most a second old.

        Raises: DBAPIError while the database does not answer.
        """
        async with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                self._text = await run_in_threadpool(self._read)
                self._read_at = time.monotonic()
            return self._text

    def _read(self) -> str:
        with self._sessions() as session:
            return monitoring(session).model_dump_json()


async def follow(
    snapshots: Snapshots,
    every_s: float,
    gone: Callable[[], Any],
    may_go_on: Callable[[], bool],
    is_draining: Callable[[], bool],
) -> AsyncIterator[str]:
    """Readings as SSE text, until the client has gone or may no more. They are states: none has to be told again."""
    yield ": connected\n\n"
    while True:
        with contextlib.suppress(DBAPIError):
            text = await snapshots.newest()
            yield f"id: {int(time.time() * 1000)}\nevent: metrics\ndata: {text}\n\n"
        until = time.monotonic() + every_s
        while time.monotonic() < until:
            if await gone() or is_draining():
                return
            await asyncio.sleep(min(_LOOK_S, every_s))
        with contextlib.suppress(DBAPIError):
            if not await run_in_threadpool(may_go_on):
                yield ": this right to the stream has ended\n\n"
                return
