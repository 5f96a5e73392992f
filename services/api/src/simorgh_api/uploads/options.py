"""What an uploader says beside the files: the form's fields, their bounds, and their description for the contract."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

from simorgh_shared.datasets.files import ImportOptions
from simorgh_shared.datasets.rows import RowSchema, fields_of, schema_of_columns
from simorgh_shared.domain.errors import InvalidInputError

FILE_FIELDS: Mapping[str, str] = {"dataset": "train", "file": "train", "test": "test"}
"""The fields that hold a file, and the split that it becomes."""
_FIELDS = ("name", "dataset_id", "row_schema", "columns", "on_error")
_ROW_SCHEMAS = ("auto", *RowSchema)
_ON_ERROR = ("refuse", "skip")
_MAX_NAME_CHARS = 255
_UNFIT_IN_COLUMNS = frozenset({'"', "\\", *map(chr, range(32))})  # no typed decoder can be made for them


@dataclass(frozen=True)
class Options:
    """The fields that were given so far."""

    name: str = ""
    dataset_id: str = ""
    row_schema: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    on_error: str = "refuse"
    given: frozenset[str] = frozenset()

    def with_field(self, name: str, text: str) -> Self:
        """These and one more; an empty one says nothing.

        Raises: InvalidInputError for a field that is unknown, stands twice or has a value that it cannot have.
        """
        if name in FILE_FIELDS:
            raise InvalidInputError("invalid_body", where=name, reason="send a file in this field")
        if name not in _FIELDS:
            raise unknown_field(name)
        if name in self.given:
            raise InvalidInputError("invalid_body", where="the form", reason=f"{name} stands in it twice")
        changes: dict[str, Any] = {name: _value(name, text)} if text else {}
        return dataclasses.replace(self, given=self.given | {name}, **changes)

    def check_arguments(self) -> list[str]:
        """What the checking child needs to know of them.

        Raises: InvalidInputError for columns that do not fit the kind of row.
        """
        if self.columns:
            self._require_fitting_columns()
        columns = json.dumps(self.columns, sort_keys=True)
        return ["--schema", self.row_schema, "--on-error", self.on_error, "--columns", columns]

    def for_import(self) -> ImportOptions:
        """What the job needs to know of them.

        Raises: as `check_arguments` does.
        """
        self.check_arguments()
        return ImportOptions(
            name=self.name or None,
            dataset_id=self.dataset_id or None,
            row_schema=self.row_schema,
            columns=dict(self.columns),
            on_error=self.on_error,
        )

    def _require_fitting_columns(self) -> None:
        declared = None if self.row_schema == "auto" else RowSchema(self.row_schema)
        row_schema = declared or schema_of_columns(frozenset(), self.columns)
        fields = fields_of(row_schema) if row_schema else ()
        for own in self.columns:
            if own not in fields:
                wanted = (
                    f"{row_schema.value} rows have {' and '.join(fields)}" if row_schema else "no row has this field"
                )
                _refuse("columns", own, wanted)
        if len({self.columns.get(own, own) for own in fields}) < len(fields):
            _refuse("columns", json.dumps(self.columns, ensure_ascii=False), "two fields cannot be one column")


def unknown_field(name: str) -> InvalidInputError:
    """The answer to a field that there is not."""
    return InvalidInputError("unknown_parameter", name=name[:40], known=", ".join([*FILE_FIELDS, *_FIELDS]))


def dataset_name(given: str) -> str:
    """A dataset's name, which is data and never a path.

    Raises: InvalidInputError.
    """
    if "\x00" in given:
        _refuse("name", given.replace("\x00", ""), "it holds a NUL character")
    if not 0 < len(given) <= _MAX_NAME_CHARS:
        _refuse("name", given, f"it has {len(given)} characters where 1 to {_MAX_NAME_CHARS} are taken")
    return given


def _value(name: str, text: str) -> str | dict[str, str]:
    if name == "columns":
        return _columns(text)
    if name == "on_error" and text not in _ON_ERROR:
        _refuse(name, text, "it is refuse or skip")
    if name == "row_schema" and text not in _ROW_SCHEMAS:
        _refuse(name, text, f"it is one of {', '.join(_ROW_SCHEMAS)}")
    return dataset_name(text) if name == "name" else text


def _columns(text: str) -> dict[str, str]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) and value for value in given.values()):
        reason = 'it is a JSON object of our field to the file\'s, such as {"question": "prompt"}'
        _refuse("columns", text, reason)
    if any(_UNFIT_IN_COLUMNS & set(value) for value in given.values()):
        _refuse("columns", text, "a column's name holds a quote, a backslash or a control character")
    return given


def _refuse(name: str, value: str, reason: str) -> NoReturn:
    raise InvalidInputError("invalid_parameter", name=name, value=value[:40], reason=reason)


def _text_field(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _file_field(description: str) -> dict[str, Any]:
    return {"type": "string", "format": "binary", "description": description}


FORM: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "dataset": _file_field(
                            "The rows: .jsonl, .json, .csv, .parquet, or an audio set as .zip, .tar or .tar.gz."
                        ),
                        "file": _file_field("The same as `dataset`."),
                        "test": _file_field("Held-out rows, of the same kind."),
                        "name": _text_field("The dataset's name; else the file's.", maxLength=_MAX_NAME_CHARS),
                        "dataset_id": _text_field("Make this the next version of a dataset."),
                        "row_schema": _text_field("The kind of rows.", enum=[*_ROW_SCHEMAS], default="auto"),
                        "columns": _text_field("A JSON object of our field to the file's."),
                        "on_error": _text_field("What becomes of bad rows.", enum=[*_ON_ERROR], default="refuse"),
                    },
                }
            }
        },
    }
}
"""The form as OpenAPI describes it: the route reads the body itself, so nobody can derive this."""
