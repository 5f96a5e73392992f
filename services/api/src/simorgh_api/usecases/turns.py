"""One turn of a conversation: what the model is asked, and how question and answer are kept together (R-CHAT-2)."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import conversations, models, purposes
from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import Conversation, Message
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.schemas.chat import ChatBody, ChatView

_TITLE_CHARS = 60
_MAX_HISTORY_CHARS = 500_000  # more than a window of 128,000 tokens holds; without a limit a turn may take gigabytes
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Turn:
    """A message that waits for its answer."""

    conversation_id: str
    is_new: bool
    """The conversation is made when the answer is kept, so that a refused first message leaves none behind."""
    model: str
    """As users call it."""
    model_version_id: str
    system: str | None
    message: str
    messages: list[dict[str, str]]
    """All that the model is asked with, this message last."""
    num_left_out: int
    """Turns that are too old to be sent at all."""


@dataclass(frozen=True)
class Said:
    """An answer, whole or as far as it came."""

    text: str
    finish_reason: str | None
    usage: dict[str, int] | None
    turns_cut: int


def plan(session: Session, who: Principal, body: ChatBody) -> Turn:
    """Look up what the message needs.

    Raises: NotFoundError for a conversation or model that there is not, InvalidInputError for a late system text.
    """
    said: list[Message] = []
    num_left_out = 0
    model = body.model
    if body.conversation_id is not None:
        if body.system is not None:
            raise InvalidInputError("system_not_first")
        conversation = conversations.find(session, who, body.conversation_id)
        said, num_left_out = conversations.newest_messages(session, conversation.id, _MAX_HISTORY_CHARS)
        model = model or conversation.model
    model = model or models.newest(session, who.project_id)
    history = [{"role": one.role, "content": one.content} for one in said]
    system = [] if body.system is None else [{"role": "system", "content": body.system}]
    return Turn(
        conversation_id=body.conversation_id or new_id(conversations.ID_PREFIX),
        is_new=body.conversation_id is None,
        model=model,
        model_version_id=purposes.to_chat_with(session, who.project_id, model),
        system=body.system,
        message=body.message,
        messages=[*system, *history, {"role": "user", "content": body.message}],
        num_left_out=num_left_out,
    )


def keep(session: Session, who: Principal, turn: Turn, said: Said) -> ChatView:
    """Add question and answer to the conversation, behind what others may have added meanwhile.

    Raises: NotFoundError when the conversation was deleted meanwhile.
    """
    conversation = _held(session, who, turn)
    position = _last_position(session, turn.conversation_id)
    rows = [("user", turn.message), ("assistant", said.text)]
    if turn.system is not None:
        rows.insert(0, ("system", turn.system))
    added = [
        conversations.message(turn.conversation_id, number, role, text)
        for number, (role, text) in enumerate(rows, start=position + 1)
    ]
    answer = added[-1]
    answer.model_version_id, answer.finish_reason, answer.usage = turn.model_version_id, said.finish_reason, said.usage
    session.add_all(added)
    conversation.title = conversation.title or title_of(turn.message)
    conversation.model = turn.model
    conversation.updated_at = sa.func.clock_timestamp()
    session.flush()
    session.refresh(answer)
    view = conversations.message_view(answer)
    return ChatView(
        conversation_id=turn.conversation_id,
        title=conversation.title,
        model=turn.model,
        message=view,
        turns_cut=turn.num_left_out + said.turns_cut,
        usage=view.usage,
    )


def title_of(text: str) -> str:
    """The first words of a text, at most 60 characters; a word that is longer by itself is cut."""
    line = " ".join(text.split())
    if len(line) <= _TITLE_CHARS:
        return line
    return (line[: _TITLE_CHARS + 1].rpartition(" ")[0] or line[:_TITLE_CHARS]).rstrip(_JOINERS)


def _held(session: Session, who: Principal, turn: Turn) -> Conversation:
    if turn.is_new:
        return conversations.insert(session, who, turn.conversation_id, title_of(turn.message), turn.model)
    return conversations.find(session, who, turn.conversation_id, for_update=True)


def _last_position(session: Session, conversation_id: str) -> int:
    query = sa.select(sa.func.max(Message.position)).where(Message.conversation_id == conversation_id)
    return session.scalar(query) or 0
