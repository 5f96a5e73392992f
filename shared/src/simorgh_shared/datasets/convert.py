"""Which kind of rows becomes which, and how: a table, one function an entry.

What a target cannot hold is left out where that is the point of it (the rejected answer, the system's word); a row
of which nothing can be made is refused with the reason.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

from simorgh_shared.datasets.rows import (
    MAX_CELL_CHARACTERS,
    Message,
    MessagesRow,
    PreferenceRow,
    QaRow,
    Row,
    RowSchema,
    TextRow,
)
from simorgh_shared.domain.messages import sentence

Converter = Callable[[Row], Sequence[Row]]
"""The rows that a row becomes; raises ValueError with the reason where there is none."""


def targets_of(row_schema: RowSchema) -> list[RowSchema]:
    """The kinds that rows of a kind can become."""
    return [target for source, target in CONVERSIONS if source is row_schema]


def _qa_to_messages(row: Row) -> Sequence[Row]:
    assert isinstance(row, QaRow)
    return [_chat(row.question, row.answer)]


def _qa_to_text(row: Row) -> Sequence[Row]:
    assert isinstance(row, QaRow)
    return [_text([row.question, row.answer])]


def _messages_to_qa(row: Row) -> Sequence[Row]:
    """Each turn of the assistant's that follows one of the user's; what else was said is left out."""
    assert isinstance(row, MessagesRow)
    turns = row.messages
    pairs = [
        QaRow(asked.content, told.content)
        for asked, told in itertools.pairwise(turns)
        if (asked.role, told.role) == ("user", "assistant")
    ]
    if not pairs:
        raise ValueError(sentence("row_no_pair", {}))
    return pairs


def _messages_to_text(row: Row) -> Sequence[Row]:
    assert isinstance(row, MessagesRow)
    return [_text([turn.content for turn in row.messages])]


def _preference_to_qa(row: Row) -> Sequence[Row]:
    assert isinstance(row, PreferenceRow)
    return [QaRow(row.prompt, row.chosen)]


def _preference_to_messages(row: Row) -> Sequence[Row]:
    assert isinstance(row, PreferenceRow)
    return [_chat(row.prompt, row.chosen)]


CONVERSIONS: Mapping[tuple[RowSchema, RowSchema], Converter] = {
    (RowSchema.QA, RowSchema.MESSAGES): _qa_to_messages,
    (RowSchema.QA, RowSchema.TEXT): _qa_to_text,
    (RowSchema.MESSAGES, RowSchema.QA): _messages_to_qa,
    (RowSchema.MESSAGES, RowSchema.TEXT): _messages_to_text,
    (RowSchema.PREFERENCE, RowSchema.QA): _preference_to_qa,
    (RowSchema.PREFERENCE, RowSchema.MESSAGES): _preference_to_messages,
}


def _chat(question: str, answer: str) -> MessagesRow:
    return MessagesRow([Message("user", question), Message("assistant", answer)])


def _text(values: Sequence[str]) -> TextRow:
    text = "\n".join(values)
    if len(text) > MAX_CELL_CHARACTERS:
        raise ValueError(sentence("row_field_too_long", {"field": "text", "limit": MAX_CELL_CHARACTERS}))
    return TextRow(text)
