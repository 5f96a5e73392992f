"""The child that judges a file while it comes: fed through a pipe, and gone when the request is."""

import asyncio
import contextlib
import fcntl
import os
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

import msgspec
import structlog

from simorgh_shared.datasets.check import EXIT_NO_ROOM, READ_ARGUMENTS, CheckReport
from simorgh_shared.domain.errors import InvalidInputError, UnavailableError

log = structlog.get_logger()
_MODULE = "simorgh_shared.datasets.check"
_ReportT = TypeVar("_ReportT")
_RETRY_AFTER_S = 30
_PIPE_BYTES = 1 << 20
# It needs no more than to find Python: no credentials.
_ALLOWED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH")


class Checking:
    """A child that judges one file."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

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


class Checkers:
    """Makes the children that judge datasets, one of them before it is needed: Python takes 80 ms to begin."""

    def __init__(self) -> None:
        self._spare: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._has_ended = False

    def prepare(self) -> None:
        """Start the child that the next file gets."""
        if self._spare is None and not self._has_ended:
            self._spare = asyncio.create_task(_start([_MODULE, READ_ARGUMENTS]))

    @contextlib.asynccontextmanager
    async def checking(self, arguments: Sequence[str]) -> AsyncIterator[Checking]:
        """A child that judges a dataset's file. It does not outlive the block."""
        process = await self._begin(msgspec.json.encode(arguments) + b"\n")
        try:
            yield Checking(process)
        finally:
            await _end(process)
            self.prepare()  # now, and not while the file was judged, which needs the cores

    async def aclose(self) -> None:
        """End the child that waits."""
        self._has_ended = True
        if self._spare is not None:
            await _end(await self._spare)

    async def _begin(self, arguments: bytes) -> asyncio.subprocess.Process:
        spare, self._spare = self._spare, None
        if spare is not None:
            process = await spare
            if await _tell(process, arguments):
                return process
            await _end(process)  # something killed it while it waited
        process = await _start([_MODULE, READ_ARGUMENTS])
        await _tell(process, arguments)
        return process


@contextlib.asynccontextmanager
async def child(arguments: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of Python as a child without credentials. It does not outlive the block."""
    process = await _start(arguments)
    try:
        yield process
    finally:
        await _end(process)


async def _start(arguments: Sequence[str]) -> asyncio.subprocess.Process:
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
    # Several of the pieces that come fit in: with 64 KiB the two processes wake each other all the time.
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # a limit of the machine's: it is only slower then
        fcntl.fcntl(process.stdin.transport.get_extra_info("pipe"), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return process


async def _tell(process: asyncio.subprocess.Process, line: bytes) -> bool:
    """Whether it lives to hear it."""
    assert process.stdin is not None
    try:
        process.stdin.write(line)
        await process.stdin.drain()
    except ConnectionError:
        return False
    return process.returncode is None


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
