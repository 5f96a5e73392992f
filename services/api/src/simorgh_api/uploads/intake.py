"""Takes uploads of datasets: each file goes to a checking child while it comes (architecture, section 6).

What only a job can check (Parquet, archives) goes to disk, and with it the rest of its form.
"""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from simorgh_api.uploads.bodies import Body
from simorgh_api.uploads.checking import Checkers, Checking
from simorgh_api.uploads.forms import Field, FileEnd, FileStart, FormEvent, FormReader
from simorgh_api.uploads.options import FILE_FIELDS, Options, dataset_name, unknown_field
from simorgh_api.uploads.storing import Storing
from simorgh_api.usecases.imports import WholeFile
from simorgh_shared.datasets.check import CheckReport, refusal
from simorgh_shared.datasets.files import JOB_FORMATS, ImportOptions, format_of, suffix_of
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError, UnavailableError
from simorgh_shared.gzipped import GZIP_SUFFIX, read_plain
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.growing import GrowingBlob

_RETRY_AFTER_S = 30
_FORM_SLACK_BYTES = 1 << 20  # boundaries, part headers and the small fields


@dataclass(frozen=True)
class GoodFile:
    """What is to be kept of a file whose rows are good."""

    split: str
    path: Path
    sha256: str
    report: CheckReport
    sent: GrowingBlob | None = None
    """The file where it lies in storage already, and is only to be committed."""


@dataclass(frozen=True)
class Upload:
    """A form that came whole and was found good."""

    name: str | None
    """What the dataset is to be called; None where it keeps its name."""
    dataset_id: str | None
    """The dataset that this becomes a version of."""
    files: Sequence[GoodFile]
    """The train split first."""
    whole: Sequence[WholeFile] = ()
    """What a job has to check, the train split first: then there are no others."""
    options: ImportOptions = field(default_factory=ImportOptions)


def body_of(request: Request, limit_bytes: int) -> Body:
    """The body of an upload: a file of the limit in each split fits in."""
    return Body(request.receive, len(set(FILE_FIELDS.values())) * limit_bytes + _FORM_SLACK_BYTES)


@contextlib.asynccontextmanager
async def received(request: Request, body: Body, limit_bytes: int, blobs: BlobStore) -> AsyncIterator[Upload]:
    """Take a form and have its files judged. They are there within the block, and no child outlives it.

    Files that may be kept as they come are sent to storage meanwhile; what is not committed in the block is dropped.

    Raises: InvalidInputError, UnsupportedError or TooLargeError for what cannot be kept.
    """
    if int(request.headers.get("content-length", 0)) > body.limit_bytes:
        raise TooLargeError("upload_too_large", limit_bytes=limit_bytes)
    async with contextlib.AsyncExitStack() as stack:
        form = FormReader(request.headers.get("content-type", ""))
        folder = tempfile.mkdtemp(prefix="simorgh-upload-")
        stack.push_async_callback(run_in_threadpool, shutil.rmtree, folder, ignore_errors=True)
        checkers: Checkers = request.app.state.checkers
        intake = _Intake(Path(folder), limit_bytes, blobs, checkers, stack)
        while not body.has_ended:
            for event in form.feed(await body.read()):
                await intake.take(event)
        form.end()
        yield await intake.finish()


@dataclass
class _File:
    """A file on its way through its child."""

    split: str
    filename: str
    raw: Path
    clean: Path
    arguments: Sequence[str]
    options: Sequence[str]
    """Those that were known when it began."""
    child: Checking | None
    """None where a job has to check it: then it goes to `sink`."""
    sink: BinaryIO | None = None
    storing: Storing | None = None
    """Its way to storage, where what is kept may be what comes."""
    num_bytes: int = 0

    async def write(self, data: bytes) -> None:
        """Pass bytes on.

        Raises: as `Checking.write` does; UnavailableError when the disk is full.
        """
        if self.child is not None:
            await self.child.write(data)
            if self.storing is not None:
                self.storing.advance()
        elif self.sink is not None:
            try:
                await run_in_threadpool(self.sink.write, data)
            except OSError as error:
                raise UnavailableError("upload_no_room", retry_after_s=_RETRY_AFTER_S) from error

    async def end(self) -> None:
        """Nothing more comes."""
        if self.child is not None:
            self.child.end()
        elif self.sink is not None:
            try:
                await run_in_threadpool(self.sink.close)
            except OSError as error:
                raise UnavailableError("upload_no_room", retry_after_s=_RETRY_AFTER_S) from error


class _Intake:
    """What has come of one form."""

    def __init__(
        self,
        folder: Path,
        limit_bytes: int,
        blobs: BlobStore,
        checkers: Checkers,
        stack: contextlib.AsyncExitStack,
    ) -> None:
        self._checkers = checkers
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._blobs = blobs
        self._stack = stack
        self._options = Options()
        self._files: dict[str, _File] = {}
        self._file: _File

    async def take(self, event: FormEvent) -> None:
        """Take what comes next."""
        match event:
            case Field(name, value):
                self._options = self._options.with_field(name, value)
            case FileStart(name, filename):
                await self._start(name, filename)
            case FileEnd():
                await self._file.end()
            case bytes():
                self._file.num_bytes += len(event)
                if self._file.num_bytes > self._limit_bytes:
                    raise TooLargeError("upload_too_large", limit_bytes=self._limit_bytes)
                await self._file.write(event)

    async def finish(self) -> Upload:
        """The verdict over the whole form."""
        if "train" not in self._files:
            raise InvalidInputError("invalid_body", where="dataset", reason="send a file in this field")
        train, *others = sorted(self._files.values(), key=lambda file: file.split != "train")
        if any(file.child is None for file in (train, *others)):
            return await self._whole([train, *others])
        files = [await self._judged(file) for file in (train, *others)]
        kinds = [file.report.row_schema or "" for file in files]
        if len(set(kinds)) > 1:
            raise InvalidInputError("dataset_splits_differ", train=kinds[0], test=kinds[1])
        options = self._options
        own_name = None if options.dataset_id else dataset_name(Path(train.filename).name)
        return Upload(options.name or own_name, options.dataset_id or None, files)

    async def _start(self, field: str, filename: str) -> None:
        if field not in FILE_FIELDS:
            raise unknown_field(field)
        file_format = format_of(filename)
        split = FILE_FIELDS[field]
        if split in self._files:
            reason = "send one file as dataset or file, and at most one as test"
            raise InvalidInputError("invalid_body", where="the form", reason=reason)
        raw, clean = self._folder / f"{split}.raw", self._folder / f"{split}.clean"
        options = self._options.check_arguments()
        if file_format == "jsonl":  # the others are kept as the rows that the child writes
            raw = raw.with_suffix(f".raw{GZIP_SUFFIX}")
        if suffix_of(filename) in JOB_FORMATS:
            sink = self._stack.enter_context(await run_in_threadpool(raw.open, "wb"))
            self._file = self._files[split] = _File(split, filename, raw, clean, [], options, None, sink)
            return
        arguments = ["--format", file_format, "--clean", str(clean)]
        child = await self._stack.enter_async_context(
            self._checkers.checking([*arguments, *options, "--spool", str(raw)])
        )
        storing = None
        if file_format == "jsonl":
            storing = Storing(GrowingBlob(self._blobs, raw), raw)
            self._stack.push_async_callback(storing.drop)
        self._file = self._files[split] = _File(split, filename, raw, clean, arguments, options, child, None, storing)

    async def _whole(self, files: Sequence[_File]) -> Upload:
        for file in files:
            if file.child is not None:
                await self._judged(file)
        options = self._options.for_import()
        dataset_name(Path(files[0].filename).name)
        whole = [WholeFile(await run_in_threadpool(_unpacked, file.raw), file.filename) for file in files]
        return Upload(options.name, options.dataset_id, (), whole, options)

    async def _judged(self, file: _File) -> GoodFile:
        assert file.child is not None
        report = await file.child.report()
        options = self._options.check_arguments()
        if options != file.options:  # some came after the file, as clients may send them in any order
            async with self._checkers.checking([*file.arguments, *options, "--source", str(file.raw)]) as again:
                report = await again.report()
        if error := refusal(report, file.split):
            raise error
        if report.clean_needed:
            return GoodFile(file.split, file.clean, report.clean_sha256 or "", report)
        if file.storing is None:
            return GoodFile(file.split, file.raw, report.sha256, report)
        await file.storing.finish()
        return GoodFile(file.split, file.raw, report.sha256, report, file.storing.blob)


def _unpacked(path: Path) -> Path:
    """The file as it came: what waits for a job is not packed."""
    if path.suffix != GZIP_SUFFIX:
        return path
    plain = path.with_suffix("")
    with read_plain(path) as packed, plain.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return plain
