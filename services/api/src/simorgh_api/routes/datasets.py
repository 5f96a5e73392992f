"""Datasets: upload, list, versions, preview, download (R-DATA-1 to R-DATA-4, R-DATA-7)."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from simorgh_api.deps import Blobs, Cursor, DbSession, Incoming, Limit, Reader, Sessions, Settings, Writer
from simorgh_api.errors import native_shape, to_problem
from simorgh_api.surfaces import native_router
from simorgh_api.uploads.bodies import EarlyAnswer
from simorgh_api.uploads.intake import GoodFile, Upload, body_of, received
from simorgh_api.uploads.options import FORM
from simorgh_api.usecases import datasets, imports, jobs, previews, quotas, statistics
from simorgh_api.usecases.principals import Principal
from simorgh_shared.datasets.check import place_errors
from simorgh_shared.datasets.tally import NUM_ERRORS_SHOWN
from simorgh_shared.db.repositories import datasets as repository
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.queue.submit import notify_queued
from simorgh_shared.schemas.datasets import (
    DatasetDetail,
    DatasetVersionView,
    DatasetView,
    PreviewView,
    SplitName,
    UploadView,
)
from simorgh_shared.schemas.envelope import Answer, Deleted, Page
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.storage.blobs import BlobStore, StoredBlob
from simorgh_shared.storage.incoming import IncomingStore

router = native_router("/datasets", "datasets")
_MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".aac": "audio/aac",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}
VersionNumber = Annotated[int | None, Query(ge=1, lt=2**31, description="Which version; else the newest.")]


@router.post(
    "/upload",
    operation_id="upload_dataset",
    response_model=Answer[UploadView],
    openapi_extra=dict(FORM),
    responses={202: {"model": Answer[JobView], "description": "The job that checks the files."}},
)
async def upload(
    request: Request, sessions: Sessions, settings: Settings, blobs: Blobs, incoming: Incoming, principal: Writer
) -> Answer[UploadView] | Response:
    """Send a dataset as `dataset` or `file` (.jsonl, .json or .csv), and its held-out rows as `test` if there are any.

    Parquet (.parquet) and audio sets (.zip, .tar, .tar.gz or .parquet) are stored and checked by a job: 202 with the
    job, whose result names the dataset. Large files go straight to storage: see POST /api/datasets/uploads.

    The rows are checked while they come. A file with bad rows is refused whole and the first ten are named, unless
    `on_error=skip` keeps the others. With `dataset_id` the file becomes that dataset's next version; without it, the
    same content under the same name is the dataset that is there, and anything else makes another one.
    """
    body = body_of(request, settings.max_upload_bytes)
    try:
        async with received(request, body, settings.max_upload_bytes, blobs) as form:
            if form.whole:
                limit = settings.max_direct_upload_bytes
                job = await run_in_threadpool(_queue, request, sessions, incoming, principal, form, limit)
                return JSONResponse(Answer(data=job).model_dump(mode="json"), 202)
            data = await run_in_threadpool(_store, sessions, blobs, principal, form)
        if data.created:
            await run_in_threadpool(notify_queued, request.app.state.engine, Queue.IO)  # what looks through it
    except AppError as error:
        if body.has_ended:
            raise
        return EarlyAnswer(native_shape(request, to_problem(request, error)), body)
    return Answer(data=data)


@router.get("/list", operation_id="list_datasets")
def list_datasets(session: DbSession, principal: Reader, limit: Limit = 50, cursor: Cursor = None) -> Page[DatasetView]:
    """The project's datasets, newest first, each with its newest version."""
    found, more = datasets.page(session, principal.project_id, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.get("/preview/{dataset_id}", operation_id="preview_dataset")
def preview(
    sessions: Sessions,
    principal: Reader,
    blobs: Blobs,
    dataset_id: str,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    offset: Annotated[int, Query(ge=0)] = 0,
    version: VersionNumber = None,
) -> Answer[PreviewView]:
    """Some rows, those of the train split first, and how many rows there are in all."""
    source = previews.find(sessions, principal.project_id, dataset_id, version)
    return Answer(data=previews.preview(sessions, blobs, source, limit, offset))


@router.get("/{dataset_id}", operation_id="get_dataset")
def get_dataset(
    session: DbSession, principal: Reader, dataset_id: str, version: VersionNumber = None
) -> Answer[DatasetDetail]:
    """One dataset, and what is known of it."""
    dataset, found = datasets.get(session, principal.project_id, dataset_id, version)
    view = datasets.view(dataset, found).model_dump()
    return Answer(data=DatasetDetail(**view, statistics=statistics.state(session, found)))


@router.get("/{dataset_id}/versions", operation_id="list_dataset_versions")
def list_versions(
    session: DbSession, principal: Reader, dataset_id: str, limit: Limit = 50, cursor: Cursor = None
) -> Page[DatasetVersionView]:
    """The versions of a dataset, newest first."""
    found, more = datasets.versions_page(session, principal.project_id, dataset_id, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.get(
    "/{dataset_id}/download",
    operation_id="download_dataset",
    response_class=StreamingResponse,
    responses={200: {"description": "The rows as JSON Lines.", "content": {"application/jsonl": {}}}},
)
def download(
    sessions: Sessions,
    principal: Reader,
    blobs: Blobs,
    dataset_id: str,
    split: SplitName = "train",
    version: VersionNumber = None,
) -> StreamingResponse:
    """The bytes of a split as they are kept: JSON Lines, exactly those that were sent where nothing had to change."""
    source = previews.find(sessions, principal.project_id, dataset_id, version)
    num_bytes, chunks = previews.open_split(sessions, blobs, source, split)
    name = quote(f"{Path(source.dataset.name).stem}-{split}.jsonl", safe="")
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{name}", "content-length": str(num_bytes)}
    return StreamingResponse(chunks, media_type="application/jsonl", headers=headers)


@router.get(
    "/{dataset_id}/clips/{clip:path}",
    operation_id="download_clip",
    response_class=StreamingResponse,
    responses={200: {"description": "The clip as it was sent.", "content": {"audio/*": {}}}},
)
def download_clip(
    sessions: Sessions, principal: Reader, blobs: Blobs, dataset_id: str, clip: str, version: VersionNumber = None
) -> StreamingResponse:
    """One clip of an audio set: a row's `clip` without `clips/` before it."""
    source = previews.find(sessions, principal.project_id, dataset_id, version)
    num_bytes, chunks = previews.open_clip(sessions, blobs, source, clip)
    media_type = _MEDIA_TYPES.get(Path(clip).suffix, "application/octet-stream")
    # Never shown as a page of ours, whatever the bytes are.
    headers = {"content-length": str(num_bytes), "x-content-type-options": "nosniff"}
    return StreamingResponse(chunks, media_type=media_type, headers=headers)


@router.delete("/{dataset_id}", operation_id="delete_dataset")
def delete_dataset(session: DbSession, principal: Writer, dataset_id: str) -> Answer[Deleted]:
    """Take a dataset away."""
    datasets.delete(session, principal.project_id, dataset_id)
    return Answer(data=Deleted(id=dataset_id))


def _queue(
    request: Request,
    sessions: sessionmaker[Session],
    incoming: IncomingStore,
    principal: Principal,
    form: Upload,
    limit_bytes: int,
) -> JobView:
    """Store what a job has to check, and queue it."""
    job_id = imports.store(sessions, incoming, principal, form.whole, form.options, limit_bytes)
    notify_queued(request.app.state.engine, Queue.IO)
    with sessions() as session:
        return jobs.job(session, principal.project_id, job_id)


def _store(sessions: sessionmaker[Session], blobs: BlobStore, principal: Principal, form: Upload) -> UploadView:
    """Store what was found good, then make it visible in one transaction."""
    project_id = principal.project_id
    with sessions() as session:
        if form.dataset_id is not None:
            datasets.get(session, project_id, form.dataset_id)
        quotas.require_room(session, project_id)
    files = [
        repository.CheckedFile(file.split, _kept(sessions, blobs, file), file.report.rows, _found(file))
        for file in form.files
    ]
    train = form.files[0].report
    content = repository.Content(train.row_schema or "", files, train.columns)
    with sessions.begin() as session:
        if form.dataset_id is not None:
            kept = repository.keep_version(session, project_id, form.dataset_id, form.name, content)
        else:
            kept = repository.keep(session, project_id, principal.user_id, form.name or "", content)
        if kept.created:
            quotas.require_room(session, project_id)
    errors = [error for file in form.files for error in place_errors(file.report, file.split)]
    return UploadView(
        **datasets.view(kept.dataset, kept.version).model_dump(),
        created=kept.created,
        total_lines=sum(file.report.total_lines for file in form.files),
        valid_lines=sum(file.report.valid_lines for file in form.files),
        error_count=sum(file.report.error_count for file in form.files),
        errors=errors[:NUM_ERRORS_SHOWN],
    )


def _kept(sessions: sessionmaker[Session], blobs: BlobStore, file: GoodFile) -> StoredBlob:
    if file.sent is not None:
        return file.sent.commit(sessions, file.sha256, file.report.bytes)
    return blobs.put(sessions, file.path, file.sha256)


def _found(file: GoodFile) -> dict[str, Any]:
    report = file.report
    return {
        "total_lines": report.total_lines,
        "error_count": report.error_count,
        "errors": report.errors,
        "source_bytes": report.bytes,
        "source_sha256": report.sha256,
    }
