"""Messages that stand at one place of a conversation: an edited question beside the first one, answers made again.

What was said is a tree, of which one path is current: that is what a reader sees and what a model is asked with
(R-CHAT-2). Nothing of it is lost until the conversation is deleted.
"""

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Message


def of(session: Session, rows: Collection[Message]) -> dict[str, list[str]]:
    """By each of these messages (of one conversation), those at its place, itself included, in the order they came."""
    if not rows:
        return {}
    places = {row.parent_id for row in rows}
    after_one = Message.parent_id.in_([parent for parent in places if parent is not None])
    at_first = sa.and_(Message.parent_id.is_(None), sa.literal(None in places))
    query = sa.select(Message.parent_id, Message.id).where(
        Message.conversation_id == next(iter(rows)).conversation_id, sa.or_(after_one, at_first)
    )
    at_place: dict[str | None, list[str]] = {}
    for parent_id, message_id in session.execute(query.order_by(Message.created_at, Message.id)):
        at_place.setdefault(parent_id, []).append(message_id)
    return {row.id: at_place[row.parent_id] for row in rows}


def before(session: Session, message: Message) -> list[str]:
    """The ids of what was said before a message, from the first one on."""
    parents = _parents(session, message.conversation_id)
    return _path(parents, parents[message.id])


def make_room(session: Session, message: Message) -> None:
    """Make the path to a message current, without the message: what is added next stands at its place."""
    _show(session, message.conversation_id, before(session, message))


def select(session: Session, message: Message) -> None:
    """Make the path through a message current, and on with the newest of what followed it."""
    parents = _parents(session, message.conversation_id)
    newest_after = {parent: child for child, parent in parents.items()}  # the children come in the order of their age
    path = _path(parents, message.id)
    while (following := newest_after.get(path[-1])) is not None:
        path.append(following)
    _show(session, message.conversation_id, path)


def _parents(session: Session, conversation_id: str) -> dict[str, str | None]:
    query = sa.select(Message.id, Message.parent_id).where(Message.conversation_id == conversation_id)
    rows = session.execute(query.order_by(Message.created_at, Message.id)).tuples()
    return {message_id: parent_id for message_id, parent_id in rows}  # noqa: C416 - a result is no mapping to `dict`


def _path(parents: Mapping[str, str | None], last: str | None) -> list[str]:
    path: list[str] = []
    while last is not None:
        path.append(last)
        last = parents[last]
    return path[::-1]


def _show(session: Session, conversation_id: str, path: Iterable[str]) -> None:
    shown = list(path)
    mine = sa.update(Message).where(Message.conversation_id == conversation_id)
    # In this order: at each place one message at most is current.
    session.execute(mine.where(Message.is_current, Message.id.not_in(shown)).values(is_current=False))
    session.execute(mine.where(sa.not_(Message.is_current), Message.id.in_(shown)).values(is_current=True))
