"""Conversations of one user in one project: made, listed, renamed, deleted, and what was said (R-CHAT-2).

Nobody else's conversation is ever found, whatever the asker's role in the project.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import alternatives, models, paging, purposes
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


def select(session: Session, who: Principal, message_id: str) -> MessageView:
    """Make the path through a message the current one, and on with the newest of what followed it.

    Raises: NotFoundError.
    """
    chosen = find_message(session, who, message_id)
    conversation = find(session, who, chosen.conversation_id, for_update=True)
    alternatives.select(session, chosen)
    conversation.updated_at = sa.func.clock_timestamp()
    return views(session, [chosen])[0]


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
        before = session.scalar(_my_messages(who).where(Message.id == paging.decode(cursor, MESSAGE_PREFIX)))
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
    query = sa.select(Message).where(current(conversation_id))
    if before is not None:
        query = query.where(Message.position < before.position)
    rows = session.scalars(query.order_by(Message.position.desc()).limit(limit + 1)).all()
    more = paging.encode(rows[limit - 1].id) if len(rows) > limit else None
    return conversation_id, views(session, rows[:limit][::-1]), more


def messages(session: Session, conversation_id: str) -> list[Message]:
    """All that was said on the current path, in order. The caller has checked whose conversation it is."""
    return list(session.scalars(sa.select(Message).where(current(conversation_id)).order_by(Message.position)))


def find_message(session: Session, who: Principal, message_id: str, *roles: str) -> Message:
    """A message of one of the caller's conversations, on the current path or not.

    Raises: NotFoundError; InvalidInputError for one of another role.
    """
    found = session.scalar(_my_messages(who).where(Message.id == message_id))
    if found is None:
        raise NotFoundError("message_not_found", message_id=message_id)
    if roles and found.role not in roles:
        raise InvalidInputError("message_role_unfit", message_id=message_id, role=found.role)
    return found


def current(conversation_id: str) -> sa.ColumnElement[bool]:
    """What of a conversation its reader sees."""
    return sa.and_(Message.conversation_id == conversation_id, Message.is_current)


def newest_messages(session: Session, mine: sa.ColumnElement[bool], max_chars: int) -> tuple[list[Message], int]:
    """The system text and the newest turns of at most `max_chars` together, in order; and how many turns are older.

    `mine` are the messages of one path; the caller has checked whose conversation it is.
    """
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


def views(session: Session, rows: Sequence[Message]) -> list[MessageView]:
    """Messages of one conversation as the API shows them."""
    at_place = alternatives.of(session, rows)
    return [_message_view(row, at_place[row.id]) for row in rows]


def _message_view(row: Message, at_place: list[str]) -> MessageView:
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
            "alternatives": at_place,
        }
    )


def _my_messages(who: Principal) -> "sa.Select[Message]":
    mine = _mine(who).with_only_columns(Conversation.id)
    return sa.select(Message).where(Message.conversation_id.in_(mine))


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
