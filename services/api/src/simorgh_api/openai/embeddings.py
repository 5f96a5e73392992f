"""POST /v1/embeddings: texts go to the inference server, which makes a vector of each."""

from typing import Any

from fastapi import Body, Request
from fastapi.responses import Response

from simorgh_api.asking import Inference
from simorgh_api.deps import Reader, Sessions
from simorgh_api.openai.passing import passed_on
from simorgh_api.surfaces import openai_router
from simorgh_shared.clients.inference import EMBEDDINGS
from simorgh_shared.schemas.chat import EmbeddingList

router = openai_router()


@router.post(
    "/embeddings", operation_id="create_embedding", response_model=None, responses={200: {"model": EmbeddingList}}
)
async def create(
    request: Request, sessions: Sessions, inference: Inference, principal: Reader, body: dict[str, Any] = Body(...)
) -> Response:
    """Make a vector of each text by one of the project's models."""
    return await passed_on(request, sessions, inference, principal, EMBEDDINGS, body)
