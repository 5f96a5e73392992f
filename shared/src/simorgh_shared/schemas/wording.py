"""Why something that was sent does not fit, in words for whoever sent it: pydantic's own are for programmers."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel

_WORDS = {
    "missing": "it is missing",
    "string_type": "it must be text",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "list_type": "it must be a list",
    "dict_type": "it must be a JSON object",
    "model_type": "it must be a JSON object",
    "model_attributes_type": "it must be a JSON object",
    "datetime_parsing": "it must be a time such as 2030-01-31T12:00:00Z",
    "datetime_from_date_parsing": "it must be a time such as 2030-01-31T12:00:00Z",
}
_MOST_QUOTED = 80
_BEGINNINGS = {"Input should be ": "it must be ", "Value error, ": ""}


def reason_of(error: Mapping[str, Any]) -> str:
    """What is wrong with the place that one of pydantic's errors names, without a full stop."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in ("string_too_short", "too_short"):
        return _count("at least", int(context["min_length"]), error)
    if kind in ("string_too_long", "too_long"):
        return _count("at most", int(context["max_length"]), error)
    if kind == "string_pattern_mismatch":
        return "it has not the form that is wanted"
    text = str(error["msg"])
    for beginning, ours in _BEGINNINGS.items():
        if text.startswith(beginning):
            return ours + text.removeprefix(beginning)
    return text[:1].lower() + text[1:]


def shown(value: object) -> str:
    """What was sent, as a sentence can quote it: of what is long, its length alone."""
    text = str(value)
    return "empty" if value == "" else text if len(text) <= _MOST_QUOTED else f"{len(text)} characters long"


def parameter_names(model: type[BaseModel]) -> list[str]:
    """The fields of a body as its users write them: the first of several spellings."""
    return [_spelling(name, field.validation_alias) for name, field in model.model_fields.items()]


def _spelling(name: str, alias: object) -> str:
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
    return first if isinstance(first, str) else name


def _count(bound: str, number: int, error: Mapping[str, Any]) -> str:
    is_list = isinstance(error.get("input"), list | tuple | set | dict)
    unit = ("entry" if number == 1 else "entries") if is_list else ("character" if number == 1 else "characters")
    return f"it must have {bound} {number} {unit}"
