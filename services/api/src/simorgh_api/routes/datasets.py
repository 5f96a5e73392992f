"""Datasets: upload, list, preview, download (R-DATA-1 to R-DATA-4)."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from simorgh_api.deps import Blobs, DbSession, Reader, Sessions, Settings, Writer
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import datasets
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError, UnsupportedError
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore

router = native_router("/datasets", "datasets")
_FORMATS = {".jsonl": "jsonl", ".json": "json", ".csv": "csv"}
_FORM_SLACK_BYTES = 1 << 20  # boundaries, part headers and the small fields
_ROW_SCHEMAS = ("", "auto", *RowSchema)
_MAX_NAME_CHARS = 255
_SPLITS = {"dataset": "train.jsonl", "file": "train.jsonl", "test": "test.jsonl"}


@router.post("/upload", operation_id="upload_dataset")
async def upload(
    request: Request, sessions: Sessions, settings: Settings, blobs: Blobs, principal: Writer
) -> dict[str, Any]:
    """Send a dataset as `dataset` or `file`, with its held-out rows as `test` if there are any.

    Further fields: `name`, `row_schema`, `columns` (JSON: our field to the file's), `on_error` (`refuse`, `skip`).
    """
    with tempfile.TemporaryDirectory(prefix="simorgh-upload-") as folder:
        async with _form(request, settings.max_upload_bytes) as form:
            options = _options(form)
            parts = _parts(form)
            results = []
            for field, part in parts:
                results.append(await _check(part, field, options, settings.max_upload_bytes, Path(folder)))
        name = _name(options["name"] or Path(str(parts[0][1].filename)).name)

        def store() -> dict[str, Any]:
            files = [
                datasets.CheckedFile(_SPLITS[field], blobs.put(sessions, path), int(result["rows"]), result)
                for field, path, result in results
            ]
            with sessions.begin() as session:
                version = datasets.keep(
                    session,
                    principal.project_id,
                    principal.user_id,
                    name,
                    results[0][2]["row_schema"],
                    {},  # the kept files are canonical: the child has renamed mapped columns
                    files,
                )
                return datasets.view(*datasets.get(session, principal.project_id, version.dataset_id))

        data = await run_in_threadpool(store)
    told = ("valid", "total_lines", "valid_lines", "error_count", "errors")
    return {"ok": True, "data": data | {name: results[0][2].get(name) for name in told}}


@router.get("/list", operation_id="list_datasets")
def list_datasets(
    session: DbSession,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The project's datasets, newest first."""
    found, more = datasets.page(session, principal.project_id, limit, cursor)
    return {"ok": True, "data": found, "next_cursor": more}


@router.get("/preview/{dataset_id}", operation_id="preview_dataset")
def preview(
    session: DbSession,
    principal: Reader,
    blobs: Blobs,
    dataset_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """Some rows, those of the train split first, and how many rows there are in all."""
    _, version = datasets.get(session, principal.project_id, dataset_id)
    files = manifests.entries(session, version.manifest_id)
    files.sort(key=lambda entry: entry.path != "train.jsonl")
    session.commit()  # no session is open while storage is read
    samples = []
    for number, line in enumerate(line for file in files for line in _lines(blobs, file)):
        if number >= offset + limit:
            break
        if number >= offset:
            samples.append(json.loads(line))
    return {"ok": True, "data": {"samples": samples, "total": version.rows, "limit": limit, "offset": offset}}


@router.get("/{dataset_id}", operation_id="get_dataset")
def get_dataset(session: DbSession, principal: Reader, dataset_id: str) -> dict[str, Any]:
    """One dataset."""
    return {"ok": True, "data": datasets.view(*datasets.get(session, principal.project_id, dataset_id))}


@router.get("/{dataset_id}/download", operation_id="download_dataset", response_class=StreamingResponse)
def download(
    session: DbSession,
    principal: Reader,
    blobs: Blobs,
    dataset_id: str,
    split: Annotated[str, Query(pattern="^(train|test)$")] = "train",
) -> StreamingResponse:
    """The bytes of a split."""
    dataset, version = datasets.get(session, principal.project_id, dataset_id)
    for entry in manifests.entries(session, version.manifest_id):
        if entry.path == f"{split}.jsonl":
            name = quote(f"{Path(dataset.name).stem}-{split}.jsonl", safe="")
            headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}"}
            return StreamingResponse(blobs.read(entry.blob), media_type="application/jsonl", headers=headers)
    raise InvalidInputError("invalid_parameter", name="split", value=split, reason="this dataset has no such split")


@router.delete("/{dataset_id}", operation_id="delete_dataset")
def delete_dataset(session: DbSession, principal: Writer, dataset_id: str) -> dict[str, Any]:
    """Take a dataset away."""
    datasets.delete(session, principal.project_id, dataset_id)
    return {"ok": True, "data": {"id": dataset_id, "deleted": True}}


@contextlib.asynccontextmanager
async def _form(request: Request, limit_bytes: int) -> AsyncIterator[FormData]:
    """The parsed form, its files on disk; a body beyond the limit is cut off while it comes."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > 2 * limit_bytes + _FORM_SLACK_BYTES:
            raise TooLargeError("upload_too_large", limit_bytes=limit_bytes)
        return message

    try:
        form = await Request(request.scope, receive).form(max_files=3, max_fields=20)
    except HTTPException as error:
        raise InvalidInputError("invalid_body", where="the form", reason=error.detail.rstrip(".")) from error
    except ClientDisconnect as error:
        raise InvalidInputError("upload_unreadable", reason="the client left before the end") from error
    try:
        yield form
    finally:
        await form.close()


def _parts(form: FormData) -> list[tuple[str, UploadFile]]:
    """The files that were sent, the train split first."""
    parts = [(field, part) for field, part in form.multi_items() if field in _SPLITS and isinstance(part, UploadFile)]
    splits = [_SPLITS[field] for field, _ in parts]
    if "train.jsonl" not in splits:
        raise InvalidInputError("invalid_body", where="dataset", reason="send a file in this field")
    if len(set(splits)) < len(splits):
        reason = "send one file as dataset or file, and at most one as test"
        raise InvalidInputError("invalid_body", where="the form", reason=reason)
    return sorted(parts, key=lambda part: part[0] == "test")


def _name(given: str) -> str:
    """A dataset's name, which is data and never a path."""
    reason = ""
    if "\x00" in given:
        reason = "it holds a NUL character"
    elif not 0 < len(given) <= _MAX_NAME_CHARS:
        reason = f"it has {len(given)} characters where 1 to {_MAX_NAME_CHARS} are taken"
    if reason:
        shown = given[:40].replace("\x00", "")
        raise InvalidInputError("invalid_parameter", name="name", value=shown, reason=reason)
    return given


def _options(form: FormData) -> dict[str, str]:
    options = {name: str(form.get(name) or "") for name in ("name", "row_schema", "columns", "on_error")}
    unknown = set(form) - set(options) - set(_SPLITS)
    if unknown:
        known = ", ".join([*_SPLITS, *options])
        raise InvalidInputError("unknown_parameter", name=sorted(unknown)[0], known=known)
    if options["on_error"] not in ("", "refuse", "skip"):
        raise InvalidInputError(
            "invalid_parameter", name="on_error", value=options["on_error"][:40], reason="it is refuse or skip"
        )
    if options["row_schema"] not in _ROW_SCHEMAS:
        reason = f"it is one of {', '.join(_ROW_SCHEMAS[1:])}"
        raise InvalidInputError("invalid_parameter", name="row_schema", value=options["row_schema"][:40], reason=reason)
    if not _is_column_map(options["columns"] or "{}"):
        reason = 'it is a JSON object of our field to the file\'s, such as {"question": "prompt"}'
        raise InvalidInputError("invalid_parameter", name="columns", value=options["columns"][:40], reason=reason)
    return options


def _is_column_map(text: str) -> bool:
    try:
        given = json.loads(text)
    except ValueError:
        return False
    return isinstance(given, dict) and all(isinstance(value, str) for value in given.values())


async def _check(
    part: UploadFile, field: str, options: dict[str, str], limit_bytes: int, folder: Path
) -> tuple[str, Path, dict[str, Any]]:
    """Let a child judge the bytes; the file to keep and what it found.

    Raises: UnsupportedError, TooLargeError, InvalidInputError; nothing is kept then.
    """
    suffix = Path(part.filename or "").suffix.lower()
    if suffix not in _FORMATS:
        raise UnsupportedError("upload_type", suffix=suffix or "(none)", known=", ".join(_FORMATS))
    if (part.size or 0) > limit_bytes:
        raise TooLargeError("upload_too_large", limit_bytes=limit_bytes)
    raw, clean = folder / f"{field}.raw", folder / f"{field}.clean"
    command = ["-m", "simorgh_shared.datasets.check", "--format", _FORMATS[suffix], "--spool", str(raw)]
    command += ["--clean", str(clean), "--schema", options["row_schema"] or "auto"]
    command += ["--on-error", options["on_error"] or "refuse", "--columns", options["columns"] or "{}"]

    def run() -> tuple[int, bytes, bytes]:
        with tempfile.TemporaryFile() as body:
            part.file.seek(0)
            shutil.copyfileobj(part.file, body)
            body.seek(0)
            done = subprocess.run([sys.executable, *command], stdin=body, capture_output=True, check=False)
            return done.returncode, done.stdout, done.stderr

    code, output, errors = await run_in_threadpool(run)
    if code == 2:
        raise InvalidInputError("invalid_body", where="columns", reason=errors.decode(errors="replace")[-200:])
    if code != 0:
        raise InvalidInputError("upload_unreadable", reason=f"the checking process ended with code {code}")
    result: dict[str, Any] = json.loads(output)
    if result["problem"] is not None:
        told = {name: result[name] for name in ("valid", "total_lines", "valid_lines", "error_count")}
        raise InvalidInputError(result["problem"], details=result["errors"], data=told, **result["problem_params"])
    return field, clean if result["clean_needed"] else raw, result


def _lines(blobs: BlobStore, entry: manifests.Entry) -> Iterator[bytes]:
    rest = b""
    for chunk in blobs.read(entry.blob):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest
