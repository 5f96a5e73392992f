"""Takes model folders: their files go to disk as they come, then a bounded child judges them by content (R-MODEL-1)."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from simorgh_api.uploads.bodies import Body
from simorgh_api.uploads.checking import child, report_of
from simorgh_api.uploads.forms import Field, FileEnd, FileStart, FormEvent, FormReader
from simorgh_api.uploads.spool import spool_folder
from simorgh_api.usecases.model_uploads import KINDS, model_name
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError, UnavailableError
from simorgh_shared.model_folders import paths
from simorgh_shared.model_folders.check import ModelReport

_MODULE = "simorgh_shared.model_folders.check"
_FIELDS = ("name", "kind")
_FILES = ("files", "file", "archive")
_FORM_SLACK_BYTES = 4 << 20  # boundaries and headers of a thousand parts
_WRITE_BYTES = 1 << 20
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip", ".gguf", ".onnx")
_RETRY_AFTER_S = 30


@dataclass(frozen=True)
class SentModel:
    """A folder that came whole and was found good."""

    name: str
    kind: str
    report: ModelReport
    folder: Path


def body_of(request: Request, limit_bytes: int) -> Body:
    """The body of an upload: a folder of the limit fits in."""
    return Body(request.receive, limit_bytes + _FORM_SLACK_BYTES)


@contextlib.asynccontextmanager
async def received(request: Request, body: Body, limit_bytes: int, spool: Path | None) -> AsyncIterator[SentModel]:
    """Take a form and have its files judged. They are there within the block, and no child outlives it.

    Raises: InvalidInputError or TooLargeError for what cannot be kept, UnavailableError when the disk is full.
    """
    if int(request.headers.get("content-length", 0)) > body.limit_bytes:
        raise TooLargeError("upload_too_large", limit_bytes=limit_bytes)
    form = FormReader(request.headers.get("content-type", ""), paths.MAX_FILES + len(_FIELDS))
    async with spool_folder(spool) as folder:
        intake = _Intake(folder / "sent", limit_bytes)
        try:
            with _disk_errors():
                while not body.has_ended:
                    for event in form.feed(await body.read()):
                        await intake.take(event)
            form.end()
        finally:
            intake.close()
        intake.require_files()
        async with child([_MODULE, "--folder", str(folder), "--limit-bytes", str(limit_bytes)]) as process:
            report = await report_of(process, ModelReport)
        if report.problem is not None:
            kind = TooLargeError if report.status == TooLargeError.status else InvalidInputError
            raise kind(report.problem, details=(), data=None, retry_after_s=None, **report.problem_params)
        yield intake.sent(report, folder / "model")


class _Intake:
    """What has come of one form."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._fields: dict[str, str] = {}
        self._names: list[str] = []
        self._left_out: list[str] = []
        self._file: BinaryIO | None = None
        self._buffer = bytearray()
        self._num_bytes = 0
        folder.mkdir()

    async def take(self, event: FormEvent) -> None:
        """Take what comes next."""
        match event:
            case Field(name, value):
                self._take_field(name, value)
            case FileStart(name, filename):
                self._start(name, filename)
            case FileEnd():
                await self._write()
                self.close()
            case bytes():
                self._num_bytes += len(event)
                if self._num_bytes > self._limit_bytes:
                    raise TooLargeError("upload_too_large", limit_bytes=self._limit_bytes)
                if self._file is not None:
                    self._buffer += event
                    if len(self._buffer) >= _WRITE_BYTES:
                        await self._write()

    def close(self) -> None:
        """Close the file that is open, if there is one."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def require_files(self) -> None:
        """Raises: InvalidInputError where no file came."""
        if not self._names:
            raise InvalidInputError("invalid_body", where="files", reason="send the files of the folder in this field")

    def sent(self, report: ModelReport, folder: Path) -> SentModel:
        """The model, once it was judged.

        Raises: InvalidInputError for a kind that does not fit, or where the model has no name.
        """
        kind = self._fields.get("kind", report.kind)
        if kind != report.kind and (report.is_told or kind == "adapter"):
            raise InvalidInputError("model_kind_unfit", kind=kind, found=report.kind)
        name = self._fields.get("name") or report.own_name or self._own_name()
        report.left_out += self._left_out
        return SentModel(model_name(name), kind, report, folder)

    def _own_name(self) -> str:
        if len(self._names) > 1:
            raise InvalidInputError("invalid_body", where="name", reason="say what the model is to be called")
        name = self._names[0].rpartition("/")[2]
        suffix = next((suffix for suffix in _ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), "")
        return name[: len(name) - len(suffix)]

    def _take_field(self, name: str, value: str) -> None:
        if name not in _FIELDS:
            if name in _FILES:
                raise InvalidInputError("invalid_body", where=name, reason="send a file in this field")
            raise _unknown(name)
        if name in self._fields:
            raise InvalidInputError("invalid_body", where="the form", reason=f"{name} stands in it twice")
        if name == "kind" and value and value not in KINDS:
            reason = f"it is one of {', '.join(KINDS)}"
            raise InvalidInputError("invalid_parameter", name="kind", value=value[:40], reason=reason)
        if value:
            self._fields[name] = model_name(value) if name == "name" else value

    def _start(self, field: str, filename: str) -> None:
        if field not in _FILES:
            raise _unknown(field)
        if paths.is_left_out(filename):
            self._left_out.append(filename)
            return
        name = paths.checked(filename)
        target = self._folder / name
        if name.casefold() in {known.casefold() for known in self._names}:
            raise InvalidInputError("model_path_unfit", path=name, reason="it is there twice")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._file = target.open("xb")
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidInputError("model_path_unfit", path=name, reason="a file stands in its way") from error
        self._names.append(name)

    async def _write(self) -> None:
        if self._file is not None and self._buffer:
            await run_in_threadpool(self._file.write, bytes(self._buffer))
        self._buffer.clear()


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError("upload_no_room", retry_after_s=_RETRY_AFTER_S) from error


def _unknown(name: str) -> InvalidInputError:
    return InvalidInputError("unknown_parameter", name=name[:40], known=", ".join([*_FILES, *_FIELDS]))


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


FORM: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["files"],
                    "properties": {
                        "name": _text("The model's name; else that of the folder or the archive.", maxLength=255),
                        "kind": _text("What the model is, where its content leaves a choice.", enum=[*KINDS]),
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "The folder's files, each with its path in the folder as its file name; "
                            "or one .tar, .tar.gz or .zip of the folder.",
                        },
                        "file": {"type": "string", "format": "binary", "description": "The same as `files`."},
                        "archive": {"type": "string", "format": "binary", "description": "The same as `files`."},
                    },
                }
            }
        },
    }
}
"""The form as OpenAPI describes it: the route reads the body itself, so nobody can derive this."""
