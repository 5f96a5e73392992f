"""GET /v1/models: the project's models in OpenAI's shape."""

from simorgh_api.deps import DbSession, Reader
from simorgh_api.surfaces import openai_router
from simorgh_api.usecases import models
from simorgh_shared.schemas.models import OpenAIModel, OpenAIModelList

router = openai_router()


@router.get("/models", operation_id="openai_list_models")
def list_models(session: DbSession, principal: Reader) -> OpenAIModelList:
    """All models that can be asked, newest first."""
    return OpenAIModelList(data=models.askable(session, principal.project_id))


@router.get("/models/{model:path}", operation_id="openai_retrieve_model")
def retrieve_model(session: DbSession, principal: Reader, model: str) -> OpenAIModel:
    """One model by what `/v1/chat/completions` takes: an id, a name, a version, or `model@alias`."""
    return models.one_askable(session, principal.project_id, model)
