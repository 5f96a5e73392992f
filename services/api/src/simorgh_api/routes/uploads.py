"""Uploads of large files straight to storage, in parts that can be sent again (R-DATA-8)."""

import json
from typing import Annotated

from fastapi import Depends

from simorgh_api.deps import Cursor, DbSession, Incoming, Limit, Notify, Reader, Sessions, Settings, Writer
from simorgh_api.surfaces import native_router
from simorgh_api.uploads.options import Options, dataset_name
from simorgh_api.usecases import jobs
from simorgh_api.usecases import uploads as usecase
from simorgh_api.usecases.uploads import Bounds, DirectUploads, NewUpload
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer, Deleted, Page
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.schemas.uploads import (
    BeginUpload,
    CompleteUpload,
    DirectUploadView,
    OpenUploadView,
    PartUrls,
    SignParts,
)

router = native_router("/datasets/uploads", "datasets")


async def direct_uploads(sessions: Sessions, incoming: Incoming, settings: Settings) -> DirectUploads:
    """The gateway's uploads."""
    bounds = Bounds(
        bytes=settings.max_direct_upload_bytes,
        part_bytes=settings.upload_part_bytes,
        num_open=settings.max_open_uploads,
        url_s=settings.upload_url_s,
    )
    return DirectUploads(sessions, incoming, bounds)


Direct = Annotated[DirectUploads, Depends(direct_uploads)]


@router.post("", operation_id="begin_upload")
def begin(direct: Direct, principal: Writer, body: BeginUpload) -> Answer[OpenUploadView]:
    """Begin to send a large file in parts, straight to storage; the answer says where each part goes.

    A file that you began before, with the same fingerprint, size and name, goes on where it was. The parts may be
    sent in any order and several at once. When all have come, complete the upload.
    """
    dataset_name(body.filename)
    said = {"name": body.name, "dataset_id": body.dataset_id, "columns": json.dumps(body.columns)}
    options = Options(row_schema=body.row_schema, on_error=body.on_error)
    for name, text in said.items():
        options = options.with_field(name, text or "")
    new = NewUpload(body.filename, body.bytes, body.part_bytes, body.sha256, body.fingerprint, options.for_import())
    return Answer(data=direct.begin(principal, new))


@router.get("", operation_id="list_uploads")
def list_uploads(
    session: DbSession, principal: Reader, limit: Limit = 50, cursor: Cursor = None
) -> Page[DirectUploadView]:
    """The project's unfinished uploads, newest first."""
    found, more = usecase.page(session, principal.project_id, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.get("/{upload_id}", operation_id="get_upload")
def get_upload(direct: Direct, principal: Reader, upload_id: str) -> Answer[OpenUploadView]:
    """The parts of an upload that storage has, and those that are missing."""
    return Answer(data=direct.get(principal, upload_id))


@router.post("/{upload_id}/parts", operation_id="sign_upload_parts")
def sign_parts(direct: Direct, principal: Writer, upload_id: str, body: SignParts) -> Answer[PartUrls]:
    """Addresses for further parts, each good for one PUT of exactly its size, for a while."""
    return Answer(data=direct.sign(principal.project_id, upload_id, body.numbers))


@router.post("/{upload_id}/complete", operation_id="complete_upload", status_code=202)
def complete(
    session: DbSession,
    direct: Direct,
    principal: Writer,
    notify: Notify,
    upload_id: str,
    body: CompleteUpload | None = None,
) -> Answer[JobView]:
    """Say that all parts were sent. A job checks the rows and makes the dataset; follow it under /api/jobs.

    Asked again, it answers the same job.
    """
    said = body or CompleteUpload()
    job_id = direct.complete(principal, upload_id, said.test_upload_id, (said.sha256, said.test_sha256))
    notify(NOTIFY_JOBS, Queue.IO)
    return Answer(data=jobs.job(session, principal.project_id, job_id))


@router.delete("/{upload_id}", operation_id="abort_upload")
def abort(direct: Direct, principal: Writer, upload_id: str) -> Answer[Deleted]:
    """Drop an unfinished upload with all parts that came."""
    direct.abort(principal.project_id, upload_id)
    return Answer(data=Deleted(id=upload_id))
