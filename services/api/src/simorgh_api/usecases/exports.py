"""A conversation as a file: JSON, Markdown, or one row of a dataset (R-CHAT-2)."""

import json
from collections.abc import Sequence

from simorgh_shared.schemas.conversations import ConversationExport, ConversationView, ExportFormat, MessageView

_SUFFIXES = {ExportFormat.JSON: "json", ExportFormat.MARKDOWN: "md", ExportFormat.JSONL: "jsonl"}
_SPEAKERS = {"system": "System", "user": "User", "assistant": "Assistant"}
_NAME_CHARS = 100


def export(conversation: ConversationView, messages: Sequence[MessageView], form: ExportFormat) -> str:
    """The file's text."""
    if form is ExportFormat.JSON:
        whole = ConversationExport(conversation=conversation, messages=list(messages))
        return whole.model_dump_json(indent=1) + "\n"
    if form is ExportFormat.MARKDOWN:
        return "\n\n".join([f"# {conversation.title or conversation.id}", *map(_paragraphs, messages)]) + "\n"
    turns = [{"role": message.role, "content": message.content} for message in _learnable(messages)]
    return json.dumps({"messages": turns}, ensure_ascii=False) + "\n" if turns else ""


def file_name(conversation: ConversationView, form: ExportFormat) -> str:
    """The title as a file's name, without what a file system or a header would take for something else."""
    plain = "".join(" " if char in '/\\:*?"<>|' or not _is_shown(char) else char for char in conversation.title)
    stem = " ".join(plain.split())[:_NAME_CHARS].strip(". ") or conversation.id
    return f"{stem}.{_SUFFIXES[form]}"


def _is_shown(char: str) -> bool:
    return char.isprintable() or char == "\u200c"  # a ZWNJ is part of Persian words


def _paragraphs(message: MessageView) -> str:
    said = f"**{_SPEAKERS[message.role]}**\n\n{message.content}"
    # Markdown knows no direction; HTML around it does, and empty lines let what is inside be Markdown again.
    return f'<div dir="rtl">\n\n{said}\n\n</div>' if message.direction == "rtl" else said


def _learnable(messages: Sequence[MessageView]) -> list[MessageView]:
    """What a dataset takes: an answer that says nothing is left out with its question."""
    kept: list[MessageView] = []
    for message in messages:
        if message.role == "assistant" and not message.content.strip():
            if kept and kept[-1].role == "user":
                kept.pop()
        else:
            kept.append(message)
    return kept if any(message.role == "assistant" for message in kept) else []
