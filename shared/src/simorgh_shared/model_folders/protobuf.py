"""Reads protobuf's wire format without a schema: fields by number, long ones as spans of the file.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from typing import NamedTuple

from simorgh_shared.model_folders.reading import BoundedFile, DamagedError

_MAX_TEXT_BYTES = 65_536


class Span(NamedTuple):
    """Bytes of the file."""

    begin: int
    end: int


class Field(NamedTuple):
    """A field of a message: a number, or the span of what is longer."""

    number: int
    value: int | Span


def fields(file: BoundedFile, span: Span) -> Iterator[Field]:
    """The fields of a message in their order. The reader may go elsewhere between two of them.

    Raises: DamagedError.
    """
    place = span.begin
    while place < span.end:
        file.go_to(place, "a field")
        tag = _varint(file)
        number, wire_type = tag >> 3, tag & 7
        value: int | Span
        if wire_type == 0:
            value = _varint(file)
            place = file.offset
        elif wire_type == 2:
            length = _varint(file)
            value = Span(file.offset, file.offset + length)
            place = value.end
        elif wire_type in (1, 5):
            place = file.offset + (8 if wire_type == 1 else 4)
            value = Span(file.offset, place)
        else:
            raise DamagedError(f"field {number} has the unknown wire type {wire_type}")
        if number == 0 or place > span.end:
            raise DamagedError("a field of it leads out of its message")
        yield Field(number, value)


def text(file: BoundedFile, value: int | Span) -> str:
    """A field that holds text."""
    if isinstance(value, int):
        raise DamagedError("a number stands where a text belongs")
    file.go_to(value.begin, "a text")
    return file.take(value.end - value.begin, "a text", _MAX_TEXT_BYTES).decode("utf-8", "replace")


def message(value: int | Span) -> Span:
    """A field that holds a message."""
    if isinstance(value, int):
        raise DamagedError("a number stands where a message belongs")
    return value


def numbers(file: BoundedFile, value: int | Span) -> list[int]:
    """A field that holds whole numbers, one or packed."""
    if isinstance(value, int):
        return [value]
    found = []
    file.go_to(value.begin, "numbers")
    while file.offset < value.end:
        found.append(_varint(file))
        if len(found) > 64:
            raise DamagedError("a tensor has more than 64 dimensions")
    return found


def _varint(file: BoundedFile) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.take(1, "a number")[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise DamagedError("a number of it does not end")
