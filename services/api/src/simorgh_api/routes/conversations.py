"""Conversations: made, listed, read, renamed, deleted, exported (R-CHAT-2). Each belongs to one user."""

from urllib.parse import quote

from fastapi import Response

from simorgh_api.deps import Cursor, DbSession, Limit, Reader
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import conversations, exports
from simorgh_shared.schemas.conversations import (
    ConversationChange,
    ConversationExport,
    ConversationView,
    ExportFormat,
    HistoryPage,
    NewConversation,
)
from simorgh_shared.schemas.envelope import Answer, Deleted, Page

router = native_router("/chat", "chat")
_MEDIA_TYPES = {
    ExportFormat.JSON: "application/json",
    ExportFormat.MARKDOWN: "text/markdown; charset=utf-8",
    ExportFormat.JSONL: "application/jsonl",
}
_TEXT = {"schema": {"type": "string"}}


@router.get("/history", operation_id="chat_history")
def history(
    session: DbSession,
    principal: Reader,
    conversation_id: str | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> HistoryPage:
    """What was said, the oldest message first within a page; `next_cursor` goes back in time.

    Without `conversation_id` it is your conversation with the newest activity.
    """
    found_id, said, more = conversations.history(session, principal, conversation_id, limit, cursor)
    return HistoryPage(data=said, next_cursor=more, conversation_id=found_id)


@router.get("/conversations", operation_id="list_conversations")
def list_conversations(
    session: DbSession, principal: Reader, limit: Limit = 50, cursor: Cursor = None
) -> Page[ConversationView]:
    """Your conversations in this project, those with the newest activity first."""
    found, more = conversations.page(session, principal, limit, cursor)
    return Page(data=found, next_cursor=more)


@router.post("/conversations", operation_id="create_conversation", status_code=201)
def create_conversation(body: NewConversation, session: DbSession, principal: Reader) -> Answer[ConversationView]:
    """Make a conversation before anything is said in it. `POST /api/chat` makes one by itself too."""
    return Answer(data=conversations.create(session, principal, body.title, body.model, body.system))


@router.get("/conversations/{conversation_id}", operation_id="get_conversation")
def get_conversation(session: DbSession, principal: Reader, conversation_id: str) -> Answer[ConversationView]:
    """One of your conversations."""
    return Answer(data=conversations.view(conversations.find(session, principal, conversation_id)))


@router.patch("/conversations/{conversation_id}", operation_id="rename_conversation")
def rename_conversation(
    body: ConversationChange, session: DbSession, principal: Reader, conversation_id: str
) -> Answer[ConversationView]:
    """Give one of your conversations another title."""
    return Answer(data=conversations.rename(session, principal, conversation_id, body.title))


@router.delete("/conversations/{conversation_id}", operation_id="delete_conversation")
def delete_conversation(session: DbSession, principal: Reader, conversation_id: str) -> Answer[Deleted]:
    """Take one of your conversations away, with all that was said in it."""
    conversations.delete(session, principal, conversation_id)
    return Answer(data=Deleted(id=conversation_id))


@router.get(
    "/conversations/{conversation_id}/export",
    operation_id="export_conversation",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "model": ConversationExport,
            "content": {"text/markdown": _TEXT, "application/jsonl": _TEXT},
        }
    },
)
def export_conversation(
    session: DbSession, principal: Reader, conversation_id: str, format: ExportFormat = ExportFormat.JSON
) -> Response:
    """A whole conversation as a file. `jsonl` is one `messages` row, which can be uploaded as a dataset."""
    conversation = conversations.view(conversations.find(session, principal, conversation_id))
    said = conversations.views(session, conversations.messages(session, conversation_id))
    name = exports.file_name(conversation, format)
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(exports.export(conversation, said, format), media_type=_MEDIA_TYPES[format], headers=headers)
