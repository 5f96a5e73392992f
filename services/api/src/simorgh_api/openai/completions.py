"""POST /v1/completions: texts go to the inference server as they are, without template."""

from typing import Any

from fastapi import Body, Request
from fastapi.responses import Response

from simorgh_api.asking import Inference
from simorgh_api.deps import Reader, Sessions
from simorgh_api.openai.passing import passed_on
from simorgh_api.surfaces import openai_router
from simorgh_shared.clients.inference import COMPLETIONS
from simorgh_shared.schemas.chat import TextCompletion

router = openai_router()


@router.post(
    "/completions",
    operation_id="create_completion",
    response_model=None,
    responses={200: {"model": TextCompletion, "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def create(
    request: Request, sessions: Sessions, inference: Inference, principal: Reader, body: dict[str, Any] = Body(...)
) -> Response:
    """Go on with a text, or with several, by one of the project's models, plain or streamed."""
    return await passed_on(request, sessions, inference, principal, COMPLETIONS, body)
