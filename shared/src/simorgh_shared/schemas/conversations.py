"""Conversations, their messages, and the form in which they are exported."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, StringConstraints

from simorgh_shared.schemas.envelope import Page, RequestBody

MAX_MESSAGE_CHARS = 100_000
MAX_TITLE_CHARS = 200


def _whole_characters(text: object) -> object:
    # Half a surrogate pair is what is left of an emoji that a client cut in two; nothing can store or send it.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(text, str) else text


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


def _said(text: str) -> str:
    if text.isspace():
        raise ValueError("it is blank: write something")
    return text


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


MessageText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_MESSAGE_CHARS),
    BeforeValidator(_whole_characters),
    AfterValidator(_without_nul),
    AfterValidator(_said),
]
Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TITLE_CHARS),
    BeforeValidator(_whole_characters),
    AfterValidator(_without_nul),
    AfterValidator(_on_one_line),
]
Reference = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300),
    BeforeValidator(_whole_characters),
    AfterValidator(_without_nul),
]
"""An id or a name by which a thing is asked for."""


class NewConversation(RequestBody):
    """A conversation to make before anything is said."""

    title: Title | None = None
    """Without it, the first message gives the title."""
    model: Reference | None = None
    """A model by id, name, version or alias; without it the project's newest one."""
    system: MessageText | None = None
    """What the model is told before the first message."""


class ConversationChange(RequestBody):
    """What of a conversation can be changed."""

    title: Title


class ConversationView(BaseModel):
    """A conversation without its messages."""

    id: str
    title: str
    model: str
    """The model that answers where a message names no other."""
    created_at: datetime
    updated_at: datetime
    """When something was last said, or the title changed."""


class Usage(BaseModel):
    """What an answer took."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class MessageView(BaseModel):
    """One message of a conversation."""

    id: str
    position: int
    """Counts from 1 within the conversation."""
    role: Literal["system", "user", "assistant"]
    content: str
    direction: Literal["rtl", "ltr"]
    """How the text is shown, by its first strong character."""
    model_version_id: str | None
    finish_reason: str | None
    """Of an answer: `stop`, `length`, or `cancelled` when its reader left before its end."""
    usage: Usage | None
    created_at: datetime
    alternatives: list[str]
    """The messages that stand at this place, in the order they came, itself included: more than one where a question
    was edited or an answer made again. `POST /api/chat/messages/{id}/select` shows another."""


class HistoryPage(Page[MessageView]):
    """A part of a conversation, the oldest message first; `next_cursor` asks for what was said before it."""

    conversation_id: str | None
    """Null where the caller has no conversation yet."""


class ExportFormat(StrEnum):
    """How a conversation is written to a file."""

    JSON = "json"
    MARKDOWN = "markdown"
    JSONL = "jsonl"
    """One `messages` row, which can be uploaded as a dataset."""


class ConversationExport(BaseModel):
    """A whole conversation."""

    conversation: ConversationView
    messages: list[MessageView]
