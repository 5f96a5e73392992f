"""POST /v1/chat/completions: the conversation goes to the inference server as it is."""

from typing import Any

from fastapi import Body, Request
from fastapi.responses import Response

from simorgh_api.asking import Inference
from simorgh_api.deps import Reader, Sessions
from simorgh_api.openai.passing import passed_on
from simorgh_api.surfaces import openai_router
from simorgh_shared.clients.inference import CHAT
from simorgh_shared.schemas.chat import ChatCompletion

router = openai_router()


@router.post(
    "/chat/completions",
    operation_id="create_chat_completion",
    response_model=None,
    responses={200: {"model": ChatCompletion, "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def create(
    request: Request, sessions: Sessions, inference: Inference, principal: Reader, body: dict[str, Any] = Body(...)
) -> Response:
    """Answer a conversation with one of the project's models, plain or streamed."""
    return await passed_on(request, sessions, inference, principal, CHAT, body)
