"""Conversations and their messages."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from simorgh_shared.db.models.base import Base, CreatedAt


class Conversation(Base):
    """A user's conversation with a model."""

    __tablename__ = "conversations"
    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(sa.ForeignKey("projects.id", ondelete="CASCADE"))
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(server_default="")
    model: Mapped[str]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class Message(Base):
    """What was said once, with the direction its text is shown in.

    What is edited or answered again keeps its row: the messages of a conversation are a tree, and one path through it,
    from the first message on, is the current one.
    """

    __tablename__ = "messages"
    __table_args__ = (
        sa.Index("messages_current", "conversation_id", "position", unique=True, postgresql_where="is_current"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(sa.ForeignKey("conversations.id", ondelete="CASCADE"))
    parent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("messages.id", ondelete="CASCADE"))
    """The message before it. The database sets it: the current one of the position before."""
    is_current: Mapped[bool] = mapped_column(server_default="true")
    position: Mapped[int]
    role: Mapped[str]
    content: Mapped[str]
    direction: Mapped[str]
    model_version_id: Mapped[str | None]
    finish_reason: Mapped[str | None]
    usage: Mapped[dict[str, Any] | None]
    created_at: Mapped[CreatedAt]
