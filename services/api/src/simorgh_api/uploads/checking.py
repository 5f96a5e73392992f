"""The child that judges a file while it comes: fed through a pipe, and gone when the request is."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec
import structlog

from simorgh_shared.datasets.check import EXIT_NO_ROOM, CheckReport
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError

log = structlog.get_logger()
_MODULE = "simorgh_shared.datasets.check"
_ReportT = TypeVar("_ReportT")
_RETRY_AFTER_S = 30
# It needs no more than to find Python: no credentials.
_ALLOWED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH")


class Checking:
    """A child that judges one file."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def write(self, data: bytes) -> None:
        """Pass bytes on, no faster than the child takes them.

        Raises: as `report` does, when the child has died.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except ConnectionError:
            await self.report()

    def end(self) -> None:
        """Say that no more comes."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def report(self) -> CheckReport:
        """What it found in all that was written.

        Raises: InvalidInputError when it ended without a report, UnavailableError when its disk was full.
        """
        self.end()
        return await report_of(self._process, CheckReport)


async def report_of(process: asyncio.subprocess.Process, kind: type[_ReportT]) -> _ReportT:
    """What a child found, once it has ended.

    Raises: InvalidInputError when it ended without a report, UnavailableError when its disk was full.
    """
    output, errors = await process.communicate()
    if process.returncode != 0:
        # The kind of error only: its text may quote the file.
        died_of = errors.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0][:80]
        log.warning("upload_check_died", returncode=process.returncode, kind=died_of)
        if process.returncode == EXIT_NO_ROOM:
            raise UnavailableError("upload_no_room", retry_after_s=_RETRY_AFTER_S)
        reason = f"the checking process ended with code {process.returncode}"
        raise InvalidInputError("upload_unreadable", reason=reason)
    return msgspec.json.decode(output, type=kind)


@contextlib.asynccontextmanager
async def checking(arguments: Sequence[str]) -> AsyncIterator[Checking]:
    """A child that judges a dataset's file. It does not outlive the block."""
    async with child([_MODULE, *arguments]) as process:
        yield Checking(process)


@contextlib.asynccontextmanager
async def child(arguments: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of Python as a child without credentials. It does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in _ALLOWED if name in os.environ},
        start_new_session=True,  # Ctrl-C at the gateway lets requests end
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
