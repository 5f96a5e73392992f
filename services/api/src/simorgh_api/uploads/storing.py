"""Sends a file to storage while its child still writes it: what is good has then hardly anything left to wait for."""

import asyncio
from pathlib import Path

import anyio.to_thread
import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_shared.storage.growing import GrowingBlob

log = structlog.get_logger()
_AT_ONCE = 2  # while the storage works on one part it can take the next
_DROP_S = 5.0  # a storage that hangs must not hold back the answer to a bad file


class Storing:
    """The way of one file to storage. Ends with `finish` or `drop`."""

    def __init__(self, blob: GrowingBlob, path: Path) -> None:
        self.blob = blob
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()

    def advance(self, *, has_ended: bool = False) -> None:
        """Begin to send what has come to lie on the disk."""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.remove(task)
            task.result()
        try:
            num_bytes = self._path.stat().st_size
        except FileNotFoundError:  # the child has only just begun
            return
        while len(self._tasks) < _AT_ONCE and (number := self.blob.claim(num_bytes, has_ended=has_ended)):
            self._tasks.add(asyncio.create_task(run_in_threadpool(self.blob.store, number)))

    async def finish(self) -> None:
        """Send what is left: the file has ended."""
        self.advance(has_ended=True)
        while self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self.advance(has_ended=True)

    async def drop(self) -> None:
        """Take back what was sent, unless it was kept. What hangs meanwhile is left to the dispatcher."""
        try:
            async with asyncio.timeout(_DROP_S):
                if self._tasks:
                    await asyncio.wait(self._tasks)
                await anyio.to_thread.run_sync(self.blob.abort, abandon_on_cancel=True)
        except TimeoutError:
            log.warning("blob_parts_left", reason="the storage does not answer")
