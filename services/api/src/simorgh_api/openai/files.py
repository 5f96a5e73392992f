"""/v1/files as OpenAI's clients use it (R-API-2): the file goes to storage in constant memory, and comes back so."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from simorgh_api.deps import Blobs, DbSession, Reader, Sessions, Settings, Writer
from simorgh_api.errors import openai_shape, to_problem
from simorgh_api.settings import ApiSettings
from simorgh_api.surfaces import openai_router
from simorgh_api.uploads.bodies import Body, EarlyAnswer
from simorgh_api.uploads.one_file import PLAIN, Fields, body_of, received
from simorgh_api.usecases import files, quotas
from simorgh_api.usecases.principals import Principal
from simorgh_shared.domain.errors import AppError, InvalidInputError, NotFoundError
from simorgh_shared.schemas.files import OpenAIFile, OpenAIFileDeleted, OpenAIFileList, Purpose
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob, mark_lost

router = openai_router("/files")
_MOST = 10_000
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": ["batch", "fine-tune", "user_data"]},
    },
    "additionalProperties": False,
}


@router.post(
    "",
    operation_id="create_file",
    response_model=None,
    responses={200: {"model": OpenAIFile}},
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def create(request: Request, sessions: Sessions, blobs: Blobs, settings: Settings, principal: Writer) -> Response:
    """Send a file for a purpose: `batch`, `fine-tune` or `user_data`. It counts into the project's stored bytes."""
    body = body_of(request, settings.max_file_bytes)
    try:
        made = await _kept(request, body, sessions, blobs, settings, principal)
    except AppError as error:
        if body.has_ended:
            raise
        return EarlyAnswer(openai_shape(request, to_problem(request, error)), body)
    return JSONResponse(made.model_dump())


@router.get("", operation_id="list_files")
def list_files(
    session: DbSession,
    principal: Reader,
    purpose: Purpose | None = None,
    after: Annotated[str | None, Query(max_length=80, description="Go on after this file.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = _MOST,
    order: Literal["asc", "desc"] = "desc",
) -> OpenAIFileList:
    """The project's files, newest first."""
    return files.listed(session, principal.project_id, purpose, after, limit, newest_first=order == "desc")


@router.get("/{file_id}", operation_id="retrieve_file")
def retrieve(session: DbSession, principal: Reader, file_id: str) -> OpenAIFile:
    """One file."""
    return files.get(session, principal.project_id, file_id)


@router.delete("/{file_id}", operation_id="delete_file")
def delete(session: DbSession, principal: Writer, file_id: str) -> OpenAIFileDeleted:
    """Delete a file. One that a batch reads is kept until that has ended."""
    files.delete(session, principal.project_id, file_id)
    return OpenAIFileDeleted(id=file_id)


@router.get(
    "/{file_id}/content",
    operation_id="retrieve_file_content",
    response_class=StreamingResponse,
    responses={200: {"description": "The file.", "content": {"application/octet-stream": _BYTES}}},
)
def content(sessions: Sessions, blobs: Blobs, principal: Reader, file_id: str) -> Response:
    """What is in the file, as it was sent."""
    with sessions() as session:
        name, blob = files.content(session, principal.project_id, file_id)
    headers = {
        "content-length": str(blob.bytes),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
    }
    chunks = _opened(sessions, blobs, blob, file_id)
    return StreamingResponse(chunks, headers=headers, media_type="application/octet-stream")


async def _kept(
    request: Request,
    body: Body,
    sessions: sessionmaker[Session],
    blobs: BlobStore,
    settings: ApiSettings,
    who: Principal,
) -> OpenAIFile:
    def require_room(num_bytes: int) -> None:
        with sessions() as session:
            quotas.require_room(session, who.project_id, num_bytes)

    async def check(fields: Fields, is_whole: bool) -> None:
        _purpose(fields, is_whole)
        if not is_whole:
            await run_in_threadpool(require_room, 0)

    def keep(purpose: str, name: str, blob: StoredBlob) -> OpenAIFile:
        with sessions.begin() as session:
            quotas.require_room(session, who.project_id, blob.bytes)
            return files.keep(session, who, purpose, name, blob)

    limit_bytes = settings.max_file_bytes
    async with received(request, body, limit_bytes, settings.upload_spool_dir, check, PLAIN) as sent:
        await run_in_threadpool(require_room, sent.num_bytes)
        blob = await run_in_threadpool(blobs.put, sessions, sent.path, sent.sha256)
    return await run_in_threadpool(keep, _purpose(sent.fields, True), sent.filename, blob)


def _purpose(fields: Fields, is_whole: bool) -> str:
    """The purpose that the fields name, which may follow the file.

    Raises: InvalidInputError.
    """
    for name, given in fields.items():
        plain = name.partition("[")[0]
        if plain == "expires_after":
            reason = "files stay until they are deleted. Leave it out"
            raise InvalidInputError("parameter_unsupported", name=plain, reason=reason)
        if name != "purpose":
            raise InvalidInputError("unknown_parameter", name=name[:40], known="file, purpose")
        if len(given) > 1:
            raise InvalidInputError("invalid_body", where="the form", reason="purpose stands in it twice")
        files.require_purpose(given[0])
    if is_whole and "purpose" not in fields:
        raise InvalidInputError("invalid_body", name="purpose", where="purpose", reason="it is missing")
    return fields["purpose"][0] if "purpose" in fields else ""


def _opened(sessions: sessionmaker[Session], blobs: BlobStore, blob: StoredBlob, file_id: str) -> Iterator[bytes]:
    """The bytes, asked for before the answer begins: what is missing is told by a status."""
    chunks = blobs.read(blob)
    try:
        first = next(chunks, b"")
    except ArtifactLostError as error:
        with sessions.begin() as session:
            mark_lost(session, blob.sha256)
        raise NotFoundError("file_gone", file_id=file_id) from error

    def all_of_it() -> Iterator[bytes]:
        yield first
        yield from chunks

    return all_of_it()
