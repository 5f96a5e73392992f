"""POST /api/chat: a message in, an answer out, and both kept in their conversation (R-CHAT-2).

What was said can be said in other words, and answered again: both stand beside what they take the place of.
"""

from fastapi import Request, Response

from simorgh_api.answering import STREAMED, answer_turn
from simorgh_api.asking import Inference
from simorgh_api.deps import DbSession, Reader, Sessions
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import conversations, turns
from simorgh_shared.schemas.chat import AnswerOptions, ChatBody, ChatView, EditBody
from simorgh_shared.schemas.conversations import MessageView
from simorgh_shared.schemas.envelope import Answer

router = native_router("/chat", "chat")


@router.post("", operation_id="chat", response_model=Answer[ChatView], responses=STREAMED)
async def chat(
    request: Request, body: ChatBody, sessions: Sessions, inference: Inference, principal: Reader
) -> Answer[ChatView] | Response:
    """Say something to a model and get its answer, plain or streamed; both are kept in the conversation.

    Where the window of the model does not hold the whole conversation, its oldest turns are left out (`turns_cut`).
    When you leave a stream, what was said until then is kept; of an answer that fails nothing is.
    """
    return await answer_turn(
        request, sessions, inference, principal, body, lambda session: turns.plan(session, principal, body)
    )


@router.post(
    "/messages/{message_id}/regenerate",
    operation_id="regenerate_answer",
    response_model=Answer[ChatView],
    responses=STREAMED,
)
async def regenerate(
    request: Request,
    body: AnswerOptions,
    sessions: Sessions,
    inference: Inference,
    principal: Reader,
    message_id: str,
) -> Answer[ChatView] | Response:
    """Have an answer made again, by the same model or another, and go on from the new one.

    The model is asked with what was said before that answer. The old answer stays beside the new one, with what
    followed it: `alternatives` names both, and `select` goes back. Without a `temperature` above 0 or with the same
    `seed` a model says the same again.
    """
    return await answer_turn(
        request,
        sessions,
        inference,
        principal,
        body,
        lambda session: turns.plan_again(session, principal, message_id, body),
    )


@router.post(
    "/messages/{message_id}/edit", operation_id="edit_message", response_model=Answer[ChatView], responses=STREAMED
)
async def edit(
    request: Request, body: EditBody, sessions: Sessions, inference: Inference, principal: Reader, message_id: str
) -> Answer[ChatView] | Response:
    """Say one of your messages in other words, have it answered, and go on from there.

    The first wording stays beside the new one, with its answer and what followed it: `alternatives` names both, and
    `select` goes back.
    """
    return await answer_turn(
        request,
        sessions,
        inference,
        principal,
        body,
        lambda session: turns.plan_edit(session, principal, message_id, body),
    )


@router.post("/messages/{message_id}/select", operation_id="select_message")
def select(session: DbSession, principal: Reader, message_id: str) -> Answer[MessageView]:
    """Show this one of the messages at its place, with what last followed it; the conversation goes on from there."""
    return Answer(data=conversations.select(session, principal, message_id))
