"""Conversations of one user in one project: made, listed, renamed, deleted, and what was said (R-CHAT-2).

Nobody else's conversation is ever found, whatever the asker's role in the project.
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import models, paging, purposes
from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import Conversation, Message
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.domain.ids import is_id, new_id
from simorgh_shared.persian.direction import direction
from simorgh_shared.schemas.conversations import ConversationView, MessageView, Usage

ID_PREFIX = "conv"
MESSAGE_PREFIX = "msg"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def create(
    session: Session, who: Principal, title: str | None, model: str | None, system: str | None
) -> ConversationView:
    """Make a conversation in which nothing was said yet.

    Raises: NotFoundError for a model that there is not, InvalidInputError for one of speech.
    """
    if model is None:
        model = models.newest(session, who.project_id)
    else:
        purposes.to_chat_with(session, who.project_id, model)
    conversation = insert(session, who, new_id(ID_PREFIX), title or "", model)
    if system is not None:
        session.add(message(conversation.id, 1, "system", system))
    return view(conversation)


def insert(session: Session, who: Principal, conversation_id: str, title: str, model: str) -> Conversation:
    """The row of a new conversation, inserted."""
    made = Conversation(id=conversation_id, project_id=who.project_id, user_id=who.user_id, title=title, model=model)
    session.add(made)
    session.flush()
    session.refresh(made)
    return made


def find(session: Session, who: Principal, conversation_id: str, *, for_update: bool = False) -> Conversation:
    """One of the caller's conversations. `for_update` holds it until the transaction ends: turns then queue up.

    Raises: NotFoundError.
    """
    query = _mine(who).where(Conversation.id == conversation_id)
    found = session.scalar(query.with_for_update() if for_update else query)
    if found is None:
        raise NotFoundError("conversation_not_found", conversation_id=conversation_id)
    return found


def page(session: Session, who: Principal, limit: int, cursor: str | None) -> tuple[list[ConversationView], str | None]:
    """The caller's conversations, those with the newest activity first, and the cursor to go on with.

    The cursor is a moment: a conversation that becomes active meanwhile moves before it and comes no second time.
    """
    query = _mine(who)
    if cursor is not None:
        at, last_id = _decode_activity(cursor)
        query = query.where(sa.tuple_(Conversation.updated_at, Conversation.id) < sa.tuple_(at, last_id))
    ordered = query.order_by(Conversation.updated_at.desc(), Conversation.id.desc())
    rows = session.scalars(ordered.limit(limit + 1)).all()
    more = _encode_activity(rows[limit - 1]) if len(rows) > limit else None
    return [view(row) for row in rows[:limit]], more


def rename(session: Session, who: Principal, conversation_id: str, title: str) -> ConversationView:
    """Give a conversation another title.

    Raises: NotFoundError.
    """
    conversation = find(session, who, conversation_id, for_update=True)
    conversation.title = title
    return view(conversation)


def delete(session: Session, who: Principal, conversation_id: str) -> None:
    """Take a conversation away, with all that was said in it.

    Raises: NotFoundError.
    """
    find(session, who, conversation_id, for_update=True).deleted_at = sa.func.clock_timestamp()
    session.execute(sa.delete(Message).where(Message.conversation_id == conversation_id))


def history(
    session: Session, who: Principal, conversation_id: str | None, limit: int, cursor: str | None
) -> tuple[str | None, list[MessageView], str | None]:
    """A conversation's id, its newest messages before the cursor (oldest first), and the cursor to go further back.

    Without an id it is the cursor's conversation, or the one with the newest activity; None where there is none.
    Raises: NotFoundError for another's conversation, InvalidInputError for a cursor of another one.
    """
    before: Message | None = None
    if cursor is not None:
        before = _message(session, who, paging.decode(cursor, MESSAGE_PREFIX))
        if before is None or conversation_id not in (None, before.conversation_id):
            raise InvalidInputError("invalid_cursor")
        conversation_id = before.conversation_id
    elif conversation_id is not None:
        find(session, who, conversation_id)
    else:
        newest, _ = page(session, who, 1, None)
        if not newest:
            return None, [], None
        conversation_id = newest[0].id
    query = sa.select(Message).where(Message.conversation_id == conversation_id)
    if before is not None:
        query = query.where(Message.position < before.position)
    rows = session.scalars(query.order_by(Message.position.desc()).limit(limit + 1)).all()
    more = paging.encode(rows[limit - 1].id) if len(rows) > limit else None
    return conversation_id, [message_view(row) for row in reversed(rows[:limit])], more


def messages(session: Session, conversation_id: str) -> list[Message]:
    """All that was said, in order. The caller has checked whose conversation it is."""
    query = sa.select(Message).where(Message.conversation_id == conversation_id).order_by(Message.position)
    return list(session.scalars(query))


def newest_messages(session: Session, conversation_id: str, max_chars: int) -> tuple[list[Message], int]:
    """The system text and the newest turns of at most `max_chars` together, in order; and how many turns are older.

    The caller has checked whose conversation it is.
    """
    mine = Message.conversation_id == conversation_id
    running = sa.func.sum(sa.func.char_length(Message.content)).over(order_by=Message.position.desc())
    sums = sa.select(Message.position, running.label("num_chars")).where(mine).subquery()
    beyond = sa.select(sa.func.max(sums.c.position)).where(sums.c.num_chars > max_chars)
    last_left_out = session.scalar(beyond) or 0
    first = session.scalar(
        sa.select(sa.func.min(Message.position)).where(mine, Message.role == "user", Message.position > last_left_out)
    )
    kept = Message.position >= first if first is not None else sa.false()
    rows = session.scalars(
        sa.select(Message).where(mine, sa.or_(kept, Message.role == "system")).order_by(Message.position)
    )
    older = sa.select(sa.func.count()).where(mine, Message.role == "user", sa.not_(kept))
    return list(rows), session.scalar(older) or 0


def message(conversation_id: str, position: int, role: str, content: str) -> Message:
    """A message's row, not inserted yet."""
    return Message(
        id=new_id(MESSAGE_PREFIX),
        conversation_id=conversation_id,
        position=position,
        role=role,
        content=content,
        direction=direction(content),
    )


def view(row: Conversation) -> ConversationView:
    """A conversation as the API shows it."""
    return ConversationView(
        id=row.id, title=row.title, model=row.model, created_at=row.created_at, updated_at=row.updated_at
    )


def message_view(row: Message) -> MessageView:
    """A message as the API shows it."""
    return MessageView.model_validate(
        {
            "id": row.id,
            "position": row.position,
            "role": row.role,
            "content": row.content,
            "direction": row.direction,
            "model_version_id": row.model_version_id,
            "finish_reason": row.finish_reason,
            "usage": None if row.usage is None else Usage.model_validate(row.usage),
            "created_at": row.created_at,
        }
    )


def _message(session: Session, who: Principal, message_id: str) -> Message | None:
    mine = _mine(who).with_only_columns(Conversation.id)
    return session.scalar(sa.select(Message).where(Message.id == message_id, Message.conversation_id.in_(mine)))


def _mine(who: Principal) -> "sa.Select[Conversation]":
    return sa.select(Conversation).where(
        Conversation.project_id == who.project_id,
        Conversation.user_id == who.user_id,
        Conversation.deleted_at.is_(None),
    )


def _encode_activity(last: Conversation) -> str:
    moment_us = (last.updated_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{moment_us}.{last.id}".encode()).decode().rstrip("=")


def _decode_activity(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        moment_us, _, last_id = text.partition(".")
        moment = _EPOCH + timedelta(microseconds=int(moment_us))
    except (binascii.Error, ValueError, OverflowError) as error:
        raise InvalidInputError("invalid_cursor") from error
    if not is_id(last_id, ID_PREFIX):
        raise InvalidInputError("invalid_cursor")
    return moment, last_id
