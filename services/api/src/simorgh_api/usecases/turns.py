"""One turn of a conversation: what the model is asked, and how question and answer are kept together (R-CHAT-2)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import alternatives, conversations, models, purposes
from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import Conversation, Message
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.schemas.chat import AnswerOptions, ChatBody, ChatView, EditBody

_TITLE_CHARS = 60
_MAX_HISTORY_CHARS = 500_000  # more than a window of 128,000 tokens holds; without a limit a turn may take gigabytes
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Turn:
    """What waits for its answer."""

    conversation_id: str
    is_new: bool
    """The conversation is made when the answer is kept, so that a refused first message leaves none behind."""
    model: str
    """As users call it."""
    model_version_id: str
    added: tuple[tuple[str, str], ...]
    """Role and text of what is kept with the answer, before it; nothing where an answer is made again."""
    messages: list[dict[str, str]]
    """All that the model is asked with."""
    num_left_out: int
    """Turns that are too old to be sent at all."""
    replaces: str | None = None
    """The message whose place the first of what is kept takes."""


@dataclass(frozen=True)
class Said:
    """An answer, whole or as far as it came."""

    text: str
    finish_reason: str | None
    usage: dict[str, int] | None
    turns_cut: int


def plan(session: Session, who: Principal, body: ChatBody) -> Turn:
    """Look up what a message needs.

    Raises: NotFoundError for a conversation or model that there is not, InvalidInputError for a late system text.
    """
    added: tuple[tuple[str, str], ...] = (("user", body.message),)
    if body.conversation_id is None:
        if body.system is not None:
            added = (("system", body.system), *added)
        model = body.model or models.newest(session, who.project_id)
        version_id = purposes.to_chat_with(session, who.project_id, model)
        return Turn(new_id(conversations.ID_PREFIX), True, model, version_id, added, _asked(added), 0)
    if body.system is not None:
        raise InvalidInputError("system_not_first")
    conversation = conversations.find(session, who, body.conversation_id)
    said = conversations.current(conversation.id)
    return _going_on(session, who, conversation, body.model, said, added)


def plan_edit(session: Session, who: Principal, message_id: str, body: EditBody) -> Turn:
    """Look up what another wording of a question needs.

    Raises: NotFoundError for a message or model that there is not, InvalidInputError for a message that is no user's.
    """
    edited = conversations.find_message(session, who, message_id, "user")
    return _instead(session, who, edited, body.model, (("user", body.message),))


def plan_again(session: Session, who: Principal, message_id: str, body: AnswerOptions) -> Turn:
    """Look up what another answer needs.

    Raises: NotFoundError for a message or model that there is not, InvalidInputError for a message that is no answer.
    """
    answer = conversations.find_message(session, who, message_id, "assistant")
    return _instead(session, who, answer, body.model, ())


def _instead(
    session: Session, who: Principal, replaced: Message, model: str | None, added: tuple[tuple[str, str], ...]
) -> Turn:
    conversation = conversations.find(session, who, replaced.conversation_id)
    said = Message.id.in_(alternatives.before(session, replaced))
    return replace(_going_on(session, who, conversation, model, said, added), replaces=replaced.id)


def _going_on(
    session: Session,
    who: Principal,
    conversation: Conversation,
    model: str | None,
    said: sa.ColumnElement[bool],
    added: tuple[tuple[str, str], ...],
) -> Turn:
    model = model or conversation.model
    version_id = purposes.to_chat_with(session, who.project_id, model)
    newest, num_left_out = conversations.newest_messages(session, said, _MAX_HISTORY_CHARS)
    history = [(one.role, one.content) for one in newest]
    return Turn(conversation.id, False, model, version_id, added, _asked([*history, *added]), num_left_out)


def keep(session: Session, who: Principal, turn: Turn, said: Said) -> ChatView:
    """Add question and answer to the conversation, behind what others may have added meanwhile.

    Raises: NotFoundError when the conversation was deleted meanwhile.
    """
    conversation = _held(session, who, turn)
    if turn.replaces is not None:
        alternatives.make_room(session, conversations.find_message(session, who, turn.replaces))
    position = _last_position(session, turn.conversation_id)
    added = [
        conversations.message(turn.conversation_id, number, role, text)
        for number, (role, text) in enumerate([*turn.added, ("assistant", said.text)], start=position + 1)
    ]
    answer = added[-1]
    answer.model_version_id, answer.finish_reason, answer.usage = turn.model_version_id, said.finish_reason, said.usage
    for message in added:  # one by one: each follows the one before it
        session.add(message)
        session.flush()
    conversation.title = conversation.title or _title(turn)
    conversation.model = turn.model
    conversation.updated_at = sa.func.clock_timestamp()
    session.flush()
    session.refresh(answer)
    view = conversations.views(session, [answer])[0]
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
        return conversations.insert(session, who, turn.conversation_id, _title(turn), turn.model)
    return conversations.find(session, who, turn.conversation_id, for_update=True)


def _last_position(session: Session, conversation_id: str) -> int:
    query = sa.select(sa.func.max(Message.position)).where(conversations.current(conversation_id))
    return session.scalar(query) or 0


def _title(turn: Turn) -> str:
    return next((title_of(text) for role, text in turn.added if role == "user"), "")


def _asked(said: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in said]
