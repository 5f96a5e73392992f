"""Takes one file and the fields beside it: the file goes to disk as it comes, then to storage (R-VOICE-1, R-API-2).

Nothing here looks into the file: that is done in a limited child, where the worker is.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from simorgh_api.uploads.bodies import Body
from simorgh_api.uploads.forms import Field, FileEnd, FileStart, FormEvent, FormReader
from simorgh_api.uploads.spool import spool_folder
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError, UnavailableError

_FILE = "file"
_MAX_PARTS = 64  # lists come as a part for each of their entries
_FORM_SLACK_BYTES = 1 << 20
_WRITE_BYTES = 1 << 20
_RETRY_AFTER_S = 30
_RECEIVED = Counter("simorgh_files_received_bytes_total", "Bytes of files that came by themselves", ["kind"])
Fields = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Wording:
    """What the file is called when it is refused: codes of the catalogue."""

    kind: str
    missing: str
    empty: str
    too_large: str


AUDIO = Wording("audio", "audio_missing", "file_empty", "audio_too_large")
PLAIN = Wording("plain", "file_missing", "file_empty", "upload_too_large")


@dataclass(frozen=True)
class SentFile:
    """A form that came whole."""

    fields: Fields
    filename: str
    sha256: str
    num_bytes: int
    path: Path


def body_of(request: Request, limit_bytes: int) -> Body:
    """The body of a request: a file of the limit fits in."""
    return Body(request.receive, limit_bytes + _FORM_SLACK_BYTES)


@contextlib.asynccontextmanager
async def received(
    request: Request,
    body: Body,
    limit_bytes: int,
    spool: Path | None,
    check: Callable[[Fields, bool], Awaitable[None]],
    wording: Wording = AUDIO,
) -> AsyncIterator[SentFile]:
    """Take a form. The file lies on disk within the block.

    check: refuses by the fields, which may not be all yet (the second argument says whether they are): asked when the
        file begins, so that most refusals need not wait for its end, and at the end.
    Raises: InvalidInputError or TooLargeError for what cannot be kept, UnavailableError when the disk is full.
    """
    if int(request.headers.get("content-length", 0)) > body.limit_bytes:
        raise TooLargeError(wording.too_large, limit_bytes=limit_bytes)
    form = FormReader(request.headers.get("content-type", ""), _MAX_PARTS)
    async with spool_folder(spool) as folder:
        intake = _Intake(folder / "file", limit_bytes, check, wording)
        try:
            while not body.has_ended:
                for event in form.feed(await body.read()):
                    await intake.take(event)
            form.end()
            yield await intake.finish()
        finally:
            intake.close()


@dataclass
class _Intake:
    """What has come of one form."""

    path: Path
    limit_bytes: int
    check: Callable[[Fields, bool], Awaitable[None]]
    wording: Wording
    _fields: dict[str, list[str]] = field(default_factory=dict)
    _filename: str | None = None
    _file: BinaryIO | None = None
    _buffer: bytearray = field(default_factory=bytearray)
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _num_bytes: int = 0

    async def take(self, event: FormEvent) -> None:
        """Take what comes next."""
        match event:
            case Field(name, value):
                if name == _FILE:
                    raise InvalidInputError(self.wording.missing)
                self._fields.setdefault(name, []).append(value)
            case FileStart(name, filename):
                await self._start(name, filename)
            case FileEnd():
                await self._write()
                self.close()
            case bytes():
                self._num_bytes += len(event)
                if self._num_bytes > self.limit_bytes:
                    raise TooLargeError(self.wording.too_large, limit_bytes=self.limit_bytes)
                self._buffer += event
                if len(self._buffer) >= _WRITE_BYTES:
                    await self._write()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def finish(self) -> SentFile:
        """The whole form."""
        if self._filename is None:
            raise InvalidInputError(self.wording.missing)
        if self._num_bytes == 0:
            raise InvalidInputError(self.wording.empty)
        await self.check(self._fields, True)
        _RECEIVED.labels(self.wording.kind).inc(self._num_bytes)
        return SentFile(self._fields, self._filename, self._digest.hexdigest(), self._num_bytes, self.path)

    async def _start(self, name: str, filename: str) -> None:
        if name != _FILE or self._filename is not None:
            raise InvalidInputError(self.wording.missing)
        self._filename = filename
        await self.check(self._fields, False)
        with _disk_errors():
            self._file = await run_in_threadpool(self.path.open, "wb", 0)

    async def _write(self) -> None:
        if self._file is None or not self._buffer:
            return
        piece = bytes(self._buffer)
        self._buffer.clear()
        with _disk_errors():
            await run_in_threadpool(_keep, self._file, self._digest, piece)


def _keep(file: BinaryIO, digest: "hashlib._Hash", piece: bytes) -> None:
    digest.update(piece)
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError("upload_no_room", retry_after_s=_RETRY_AFTER_S) from error
