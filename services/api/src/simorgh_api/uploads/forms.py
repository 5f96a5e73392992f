"""Multipart forms as they come: fields whole, files piece by piece, with a bound on everything that is held."""

import logging
from dataclasses import dataclass

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from simorgh_shared.domain.errors import InvalidInputError

_MAX_PARTS = 16
_MAX_HEADERS = 8
_MAX_HEADER_BYTES = 4_096
_MAX_FIELD_BYTES = 16_384


@dataclass(frozen=True)
class Field:
    """A small value, whole."""

    name: str
    value: str


@dataclass(frozen=True)
class FileStart:
    """A file begins. Its bytes follow, then FileEnd."""

    name: str
    filename: str


@dataclass(frozen=True)
class FileEnd:
    """The file that began last is complete."""


FormEvent = Field | FileStart | bytes | FileEnd


class FormReader:
    """Takes the chunks of a body and tells what they hold. Keeps no more than one field."""

    def __init__(self, content_type: str, max_parts: int = _MAX_PARTS) -> None:
        """Raises: InvalidInputError for a type that is no form."""
        self._max_parts = max_parts
        boundary = _boundary(content_type)
        self._has_ended = False
        self._events: list[FormEvent] = []
        self._num_parts = 0
        self._header_name, self._header_value = bytearray(), bytearray()
        self._disposition = b""
        self._field_name: str | None = None
        """The field that is being read; None in a file."""
        self._field_value = bytearray()
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._take_header_name,
                    "on_header_value": self._take_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._take_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end_form,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _misfit("its boundary is too long") from error
        # It would warn of each damaged form: the sender is told, and an operator can do nothing.
        self._parser.logger.setLevel(logging.ERROR)

    def feed(self, chunk: bytes) -> list[FormEvent]:
        """What comes with this chunk, in its order.

        Raises: InvalidInputError for what is no form or is beyond the bounds.
        """
        self._events = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _misfit(f"it is damaged ({str(error)[:100]})") from error
        return self._events

    def end(self) -> None:
        """Say that no more comes.

        Raises: InvalidInputError when the form is cut off.
        """
        if not self._has_ended:
            raise _misfit("the body ends inside it")

    def _begin_part(self) -> None:
        self._num_parts += 1
        if self._num_parts > self._max_parts:
            raise _misfit(f"it has more than {self._max_parts} parts")
        self._disposition = b""
        self._field_value.clear()

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise _misfit("a part of it has no name")
        name = _text(options[b"name"], "the name of a part")
        if b"filename" in options:
            self._field_name = None
            self._events.append(FileStart(name, _text(options[b"filename"], f"the file name in {name}")))
        else:
            self._field_name = name

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._field_name is None:
            self._events.append(data[start:end])
            return
        self._field_value += data[start:end]
        if len(self._field_value) > _MAX_FIELD_BYTES:
            raise _misfit(f"the field {self._field_name[:40]} has more than {_MAX_FIELD_BYTES} bytes")

    def _end_part(self) -> None:
        if self._field_name is None:
            self._events.append(FileEnd())
        else:
            value = _text(bytes(self._field_value), f"the field {self._field_name[:40]}")
            self._events.append(Field(self._field_name, value))

    def _end_form(self) -> None:
        self._has_ended = True


def _boundary(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        raise _misfit("send it as multipart/form-data")
    if not options.get(b"boundary"):
        raise _misfit("its content-type names no boundary")
    return options[b"boundary"]


def _text(value: bytes, where: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise _misfit(f"{where} is not UTF-8") from error


def _misfit(reason: str) -> InvalidInputError:
    return InvalidInputError("invalid_body", where="the form", reason=reason)
