"""GET /v1/models: the project's models in OpenAI's shape, and what the inference server has of them."""

import asyncio

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from simorgh_api.asking import Inference
from simorgh_api.deps import Reader, Sessions
from simorgh_api.errors import request_id
from simorgh_api.surfaces import openai_router
from simorgh_api.usecases import models
from simorgh_api.usecases.models import Askable
from simorgh_shared.clients.inference import InferenceClient, ServerModels
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.schemas.models import EngineView, OpenAIModel, OpenAIModelList, ServedView

router = openai_router()
_WITHIN_S = 1.0  # the list is the database's: a server that is slow or gone does not hold it up


@router.get("/models", operation_id="openai_list_models")
async def list_models(request: Request, sessions: Sessions, inference: Inference, principal: Reader) -> OpenAIModelList:
    """All models that can be asked, newest first. `simorgh` tells the version that answers, and its engine."""

    def find() -> list[Askable]:
        with sessions() as session:
            return models.askable(session, principal.project_id)

    found = await run_in_threadpool(find)
    at_hand = await _at_hand(inference, request_id(request))
    return OpenAIModelList(data=[_shown(one, at_hand) for one in found])


@router.get("/models/{model:path}", operation_id="openai_retrieve_model")
async def retrieve_model(
    request: Request, sessions: Sessions, inference: Inference, principal: Reader, model: str
) -> OpenAIModel:
    """One model by what `/v1/chat/completions` takes: an id, a name, a version, or `model@alias`."""

    def find() -> Askable:
        with sessions() as session:
            return models.one_askable(session, principal.project_id, model)

    found = await run_in_threadpool(find)
    return _shown(found, await _at_hand(inference, request_id(request)))


async def _at_hand(inference: InferenceClient, request: str) -> ServerModels | None:
    try:
        async with asyncio.timeout(_WITHIN_S):
            return await inference.models(request)
    except (TimeoutError, UnavailableError):
        return None


def _shown(one: Askable, at_hand: ServerModels | None) -> OpenAIModel:
    told = {} if at_hand is None else at_hand.loaded.get(one.version_id, {})
    engine = {name: told[name] for name in EngineView.model_fields if name in told}
    loaded = None if at_hand is None else bool(told)
    served = ServedView.model_validate({"version_id": one.version_id, "loaded": loaded, **engine})
    return OpenAIModel(id=one.name, created=int(one.created_at.timestamp()), simorgh=served)
