"""Asks a part whether it answers, without ever waiting longer than the asker wants."""

import asyncio
import contextlib
import threading

from simorgh_shared.health import Check


class Probe:
    """A check that may block, in a thread of its own.

    A part that hangs costs one thread however often it is asked, and the thread is a daemon: it keeps neither the
    event loop's executor nor the end of the process waiting.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._running: asyncio.Future[str] | None = None

    async def ask(self, within_s: float) -> str:
        """`ok`, or what is wrong. A check that still runs from before is waited for and not repeated."""
        if self._running is None or self._running.done():
            self._running = self._start()
        done, _ = await asyncio.wait([self._running], timeout=within_s)
        return self._running.result() if done else "no answer in time"

    def _start(self) -> "asyncio.Future[str]":
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def run() -> None:
            try:
                told = self._check()
            except Exception as error:
                told = f"failed with {type(error).__name__}"
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(answer.set_result, told)

        threading.Thread(target=run, name="probe", daemon=True).start()
        return answer
