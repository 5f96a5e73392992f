"""Models of the registry: sent, listed, found, deleted (R-MODEL-1, without the hub)."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from simorgh_api.asking import Inference
from simorgh_api.deps import Blobs, Cursor, DbSession, Limit, Notify, Reader, Sessions, Settings, Writer
from simorgh_api.errors import native_shape, request_id, to_problem
from simorgh_api.surfaces import native_router
from simorgh_api.uploads.bodies import EarlyAnswer
from simorgh_api.uploads.models import FORM, SentModel, body_of, received
from simorgh_api.usecases import jobs, model_conversions, model_uploads, models, stored
from simorgh_api.usecases.model_uploads import NewUpload
from simorgh_api.usecases.models import FoundVersion
from simorgh_api.usecases.principals import Principal
from simorgh_shared.clients.inference import InferenceClient, ServerModels
from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer, Deleted, Page
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.schemas.model_conversions import ConvertModelBody
from simorgh_shared.schemas.models import DetectedPage, DetectedView, EngineView, ModelView, UploadedModelView
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.manifests import Entry

router = native_router("/models", "models")


@router.post("/upload", operation_id="upload_model", response_model=Answer[UploadedModelView], openapi_extra=dict(FORM))
async def upload(
    request: Request, sessions: Sessions, settings: Settings, blobs: Blobs, principal: Writer
) -> Answer[UploadedModelView] | Response:
    """Send a model folder: its files as `files`, each with its path in the folder as its file name, or one archive.

    What the files are is told by their content. Weights are safetensors, GGUF, ONNX, OpenVINO IR or CTranslate2;
    pickles and code are refused with the reason. Under a name that is there the folder becomes the next version;
    the same files under the same name are the version that is there.
    """
    body = body_of(request, settings.max_model_bytes)
    try:
        await run_in_threadpool(_require_room, sessions, principal.project_id)
        async with received(request, body, settings.max_model_bytes, settings.upload_spool_dir) as sent:
            data = await run_in_threadpool(_store, sessions, blobs, principal, sent)
    except AppError as error:
        if body.has_ended:
            raise
        return EarlyAnswer(native_shape(request, to_problem(request, error)), body)
    return Answer(data=data)


@router.get("/list", operation_id="list_models")
def list_models(session: DbSession, principal: Reader, limit: Limit = 50, cursor: Cursor = None) -> Page[ModelView]:
    """The project's models, newest first."""
    found, more = models.page(session, principal.project_id, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.get("/detected", operation_id="detected_models")
async def detected_models(
    request: Request,
    sessions: Sessions,
    blobs: Blobs,
    inference: Inference,
    principal: Reader,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DetectedPage:
    """Where the project's model versions really lie: in storage, in the inference server's cache, in an engine.

    A page may be shorter than `limit` where its versions have many files; only `next_cursor` tells the end.
    """

    def find() -> tuple[list[FoundVersion], str | None]:
        with sessions() as session:
            return models.versions(session, principal.project_id, limit, cursor)

    found, more = await run_in_threadpool(find)
    gone = await run_in_threadpool(stored.missing, blobs, [blob for one in found for blob in one.blobs])
    at_hand, reason = await _at_hand(inference, request_id(request))
    return DetectedPage(data=[_detected(one, gone, at_hand) for one in found], next_cursor=more, inference_error=reason)


@router.get("/{model_id}", operation_id="get_model")
def get_model(session: DbSession, principal: Reader, model_id: str) -> Answer[ModelView]:
    """One model with its versions, by its id, its name or the id of a version."""
    return Answer(data=models.get(session, principal.project_id, model_id))


@router.delete("/{model_id}", operation_id="delete_model")
def delete_model(session: DbSession, principal: Writer, model_id: str) -> Answer[Deleted]:
    """Take a model away: nobody can ask it any more, and its name is free again."""
    return Answer(data=Deleted(id=models.delete(session, principal.project_id, model_id)))


@router.post("/{model_id}/convert", operation_id="convert_model", status_code=202)
def convert_model(
    session: DbSession, principal: Writer, notify: Notify, model_id: str, body: ConvertModelBody
) -> Answer[JobView]:
    """Make a Whisper that transcribes here from one of transformers; a job does it.

    The job compares what both hear before it registers the new model. Its lineage names the one it was made from.
    """
    job_id = model_conversions.queue(session, principal, model_id, body)
    notify(NOTIFY_JOBS, model_conversions.QUEUE)
    return Answer(data=jobs.job(session, principal.project_id, job_id))


def _require_room(sessions: sessionmaker[Session], project_id: str) -> None:
    with sessions() as session:
        model_uploads.require_room(session, project_id)


def _store(
    sessions: sessionmaker[Session], blobs: BlobStore, principal: Principal, sent: SentModel
) -> UploadedModelView:
    """Store what was found good, then make it visible in one transaction."""
    files = sent.report.files
    with sessions() as session:
        model_uploads.require_room(session, principal.project_id, files)
    entries = [Entry(file.path, blobs.put(sessions, sent.folder / file.path, file.sha256)) for file in files]
    new = NewUpload(sent.name, sent.kind, sent.report, entries)
    with sessions.begin() as session:
        return model_uploads.keep(session, principal.project_id, principal.user_id, new)


async def _at_hand(inference: InferenceClient, request: str) -> tuple[ServerModels | None, str | None]:
    """What the inference server has, or why that is not known."""
    try:
        return await inference.models(request), None
    except UnavailableError as error:
        return None, error.message()


def _engine(told: Mapping[str, Any]) -> EngineView:
    return EngineView.model_validate({name: told[name] for name in EngineView.model_fields})


def _detected(one: FoundVersion, gone: frozenset[str], at_hand: ServerModels | None) -> DetectedView:
    version_id = one.version.version_id
    return DetectedView(
        **one.version.model_dump(),
        model_id=one.model_id,
        name=one.name,
        storage="missing" if not one.blobs or any(blob.key in gone for blob in one.blobs) else "present",
        cached=None if at_hand is None else version_id in at_hand.cached,
        loaded=None if at_hand is None else version_id in at_hand.loaded,
        engine=None if at_hand is None or version_id not in at_hand.loaded else _engine(at_hand.loaded[version_id]),
    )
