"""Models of the registry (R-MODEL-1, the part that exists)."""

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from simorgh_api.asking import Inference
from simorgh_api.deps import Blobs, Cursor, DbSession, Limit, Reader, Sessions, Writer
from simorgh_api.errors import request_id
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import models, stored
from simorgh_api.usecases.models import FoundVersion
from simorgh_shared.clients.inference import InferenceClient, ServerModels
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.schemas.envelope import Answer, Deleted, Page
from simorgh_shared.schemas.models import DetectedPage, DetectedView, ModelView

router = native_router("/models", "models")


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
    """One model with its versions."""
    return Answer(data=models.get(session, principal.project_id, model_id))


@router.delete("/{model_id}", operation_id="delete_model")
def delete_model(session: DbSession, principal: Writer, model_id: str) -> Answer[Deleted]:
    """Take a model away: nobody can ask it any more, and its name is free again."""
    models.delete(session, principal.project_id, model_id)
    return Answer(data=Deleted(id=model_id))


async def _at_hand(inference: InferenceClient, request: str) -> tuple[ServerModels | None, str | None]:
    """What the inference server has, or why that is not known."""
    try:
        return await inference.models(request), None
    except UnavailableError as error:
        return None, error.message()


def _detected(one: FoundVersion, gone: frozenset[str], at_hand: ServerModels | None) -> DetectedView:
    version_id = one.version.version_id
    return DetectedView(
        **one.version.model_dump(),
        model_id=one.model_id,
        name=one.name,
        storage="missing" if not one.blobs or any(blob.key in gone for blob in one.blobs) else "present",
        cached=None if at_hand is None else version_id in at_hand.cached,
        loaded=None if at_hand is None else version_id in at_hand.loaded,
    )
