"""Why a row cannot be used, as a sentence for its owner: the slow path, taken for bad rows only."""

from collections.abc import Iterator, Mapping

import msgspec

from simorgh_shared.datasets.rows import (
    MAX_CELL_CHARACTERS,
    MAX_ROW_BYTES,
    Message,
    MessagesRow,
    PreferenceRow,
    QaRow,
    Row,
    RowSchema,
    fields_of,
    is_blank,
)
from simorgh_shared.domain.messages import sentence

_KINDS = {b'"': "a text", b"{": "an object", b"[": "a list", b"t": "true", b"f": "false", b"n": "null"}


def fault_of(row: Row) -> str | None:
    """What is wrong with a row whose types are right: blank values, NUL, a chat without an assistant."""
    for field, value in _values_of(row):
        if is_blank(value):
            return sentence("row_empty_field", {"field": field})
        if "\0" in value:
            return sentence("row_nul", {"field": field})
    if isinstance(row, MessagesRow) and all(turn.role != "assistant" for turn in row.messages):
        return sentence("row_no_assistant", {})
    return None


def explain_json(item: bytes, row_schema: RowSchema, columns: Mapping[str, str], reason: str) -> str:
    """Why these bytes are no row of the schema; `reason` is the decoder's, for what has no sentence here."""
    if len(item) > MAX_ROW_BYTES:
        return sentence("row_too_long", {"limit": MAX_ROW_BYTES})
    names = {field: columns.get(field, field) for field in fields_of(row_schema)}
    loose = msgspec.defstruct(
        "Loose", [(field, msgspec.Raw, msgspec.field(default=msgspec.Raw(b""))) for field in names], rename=names
    )
    try:
        if not item.lstrip().startswith(b"{"):
            msgspec.json.decode(item, type=msgspec.Raw)
            return sentence("row_not_object", {"found": kind_of(item.lstrip())})
        found = msgspec.structs.asdict(msgspec.json.decode(item, type=loose))
        for field, name in names.items():
            fault = _explain_value(name, bytes(found[field]), wants_list=field == "messages")
            if fault:
                return fault
    except RecursionError:
        return sentence("row_too_deep", {})
    except ValueError as cause:
        return sentence("row_bad_json", {"reason": str(cause).removeprefix("JSON is malformed: ")})
    return sentence("row_misfit", {"reason": reason})


def explain_cells(cells: Mapping[str, str], row_schema: RowSchema, columns: Mapping[str, str]) -> str | None:
    """What is wrong with the cells of a CSV row, given by the names of the header; None where nothing is."""
    for field in fields_of(row_schema):
        name = columns.get(field, field)
        value = cells.get(name)
        if value is None:
            return sentence("row_missing_field", {"field": name})
        if len(value) > MAX_CELL_CHARACTERS:
            return sentence("row_field_too_long", {"field": name, "limit": MAX_CELL_CHARACTERS})
        if is_blank(value):
            return sentence("row_empty_field", {"field": name})
        if "\0" in value:
            return sentence("row_nul", {"field": name})
    return None


def kind_of(value: bytes) -> str:
    """What a JSON value is, told by its first byte."""
    return _KINDS.get(value[:1], "a number")


def _explain_value(name: str, value: bytes, *, wants_list: bool) -> str | None:
    if not value:
        return sentence("row_missing_field", {"field": name})
    wanted = "a list" if wants_list else "a text"
    if kind_of(value) != wanted:
        return sentence("row_wrong_type", {"field": name, "found": kind_of(value), "wanted": wanted})
    if wants_list:
        if not msgspec.json.decode(value, type=list[msgspec.Raw]):
            return sentence("row_empty_field", {"field": name})
        try:
            msgspec.json.decode(value, type=list[Message])
        except msgspec.ValidationError as cause:
            return sentence("row_misfit", {"reason": f"{name}: {cause}"})
        return None
    text = msgspec.json.decode(value, type=str)
    if len(text) > MAX_CELL_CHARACTERS:
        return sentence("row_field_too_long", {"field": name, "limit": MAX_CELL_CHARACTERS})
    return sentence("row_empty_field", {"field": name}) if is_blank(text) else None


def _values_of(row: Row) -> Iterator[tuple[str, str]]:
    if isinstance(row, QaRow):
        yield "question", row.question
        yield "answer", row.answer
    elif isinstance(row, MessagesRow):
        for place, turn in enumerate(row.messages, start=1):
            yield f"messages ({place}. content)", turn.content
    elif isinstance(row, PreferenceRow):
        yield "prompt", row.prompt
        yield "chosen", row.chosen
        yield "rejected", row.rejected
    else:
        yield "text", row.text
