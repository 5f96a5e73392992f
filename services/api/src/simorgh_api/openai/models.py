"""GET /v1/models: the project's models in OpenAI's shape."""

from typing import Any

from simorgh_api.deps import DbSession, Reader
from simorgh_api.surfaces import openai_router
from simorgh_api.usecases import models

router = openai_router()


@router.get("/models", operation_id="openai_list_models")
def list_models(session: DbSession, principal: Reader) -> dict[str, Any]:
    """The models that can be asked, newest first."""
    found, _ = models.page(session, principal.project_id, 200, None)
    data = [
        {"id": m["id"], "object": "model", "created": int(m["created_at"].timestamp()), "owned_by": "simorgh"}
        for m in found
    ]
    return {"object": "list", "data": data}
