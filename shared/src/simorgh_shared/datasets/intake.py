"""The bytes of an upload on their way in: hashed, spooled, proved to be UTF-8 and cut into lines or items."""

import codecs
import hashlib
import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from simorgh_shared.datasets.rows import BOM, MAX_ROW_BYTES
from simorgh_shared.domain.errors import InvalidInputError

CHUNK_BYTES = 262_144
_JSON_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)


class Readable(Protocol):
    """What bytes come from."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes; none at the end."""
        ...


class Writable(Protocol):
    """Where bytes go to."""

    def write(self, data: bytes, /) -> object:
        """Take bytes. Raises: OSError."""
        ...


class Intake:
    """One upload being read: after `chunks` (or `drain`) its size and hash are known."""

    def __init__(self, stream: Readable, spool: Writable | None) -> None:
        self._stream = stream
        self._spool = spool
        self._hash = hashlib.sha256()
        self.num_bytes = 0
        self.num_bom_bytes = 0
        """The byte order mark at the start, which is no text."""

    @property
    def sha256(self) -> str:
        """The hash of what was read so far."""
        return self._hash.hexdigest()

    def raw_chunks(self) -> Iterator[bytes]:
        """The bytes in order without a byte order mark; whether they are text is the reader's to prove."""
        chunk = self._read()
        if chunk.startswith(BOM):
            self.num_bom_bytes = len(BOM)
            chunk = chunk.removeprefix(BOM) or self._read()
        while chunk:
            yield chunk
            chunk = self._read()

    def chunks(self) -> Iterator[bytes]:
        """The bytes in order without a byte order mark, each chunk proved to be UTF-8.

        Raises: InvalidInputError (dataset_not_utf8) with the offset and the line of the first bad byte.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        line, offset = 1, 0
        for chunk in self.raw_chunks():
            pending = decoder.getstate()[0]
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as cause:
                raise self.not_utf8(pending + chunk, cause.start, offset - len(pending), line) from cause
            line += chunk.count(b"\n")
            offset += len(chunk)
            yield chunk
        if rest := decoder.getstate()[0]:
            raise self.not_utf8(rest, 0, offset - len(rest), line)

    def not_utf8(self, piece: bytes, start: int, offset: int, line: int) -> InvalidInputError:
        """The error for the byte at `start` of a piece, which begins at this offset and line of the text."""
        place = self.num_bom_bytes + offset + start
        return InvalidInputError("dataset_not_utf8", offset=place, line=line + piece.count(b"\n", 0, start))

    def drain(self) -> None:
        """Read what is left, so that the writer of the pipe never meets a closed one."""
        while self._read():
            pass

    def _read(self) -> bytes:
        chunk = self._stream.read(CHUNK_BYTES)
        self.num_bytes += len(chunk)
        self._hash.update(chunk)
        if self._spool is not None:
            self._spool.write(chunk)
        return chunk


class Block(NamedTuple):
    """Whole lines of a text, or the beginning of one that is too long."""

    data: bytes
    line: int
    """The number of the first line, from 1."""
    offset: int
    """Where it begins, in bytes."""
    num_lines: int
    is_cut: bool = False


def iter_blocks(chunks: Iterator[bytes]) -> Iterator[Block]:
    """Whole lines in blocks; a line too long comes as its beginning alone."""
    carry, line, offset, skipping = b"", 1, 0, False
    for chunk in _ended(chunks):
        data = carry + chunk
        if skipping:
            dropped, newline, data = data.partition(b"\n")
            offset += len(dropped) + len(newline)
            if not newline:
                carry = b""
                continue
            skipping, line = False, line + 1
        end = data.rfind(b"\n") + 1
        block, carry = data[:end], data[end:]
        if block:
            num_lines = block.count(b"\n")
            yield Block(block, line, offset, num_lines)
            line, offset = line + num_lines, offset + end
        if len(carry) > MAX_ROW_BYTES:
            yield Block(carry, line, offset, 1, is_cut=True)
            offset += len(carry)
            carry, skipping = b"", True


def iter_items(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The items of a JSON array, or the one object, as bytes that are still to be decoded.

    A streaming parser that builds values would replace lone surrogates and hold a cell of any length; cutting
    at brackets, commas and strings needs neither. Raises: InvalidInputError (dataset_not_format).
    """
    buffer = b""
    for chunk in chunks:
        buffer = (buffer + chunk).lstrip()
        if buffer:
            break
    if buffer.startswith(b"{"):
        yield _whole(buffer, chunks)
    elif buffer.startswith(b"["):
        yield from _array_items(buffer[1:], chunks)
    elif buffer:
        raise _not_json("it begins with neither [ nor {")


def _whole(buffer: bytes, chunks: Iterator[bytes]) -> bytes:
    for chunk in itertools.chain([b""], chunks):
        buffer += chunk
        if b"}\n{" in buffer or b"}\r\n{" in buffer:  # never inside a value
            raise _not_json("several objects stand in it, as in JSON Lines, whose suffix is .jsonl")
        if len(buffer) > MAX_ROW_BYTES:
            raise _not_json(f"one object may have {MAX_ROW_BYTES} bytes; put many rows into an array")
    return buffer


def _array_items(buffer: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    number, depth, scanned = 1, 0, 0
    while True:
        start = 0
        for token in _JSON_TOKEN.finditer(buffer, scanned):
            mark = token.group() if token.end() - token.start() == 1 else b""
            scanned = token.end()
            if mark == b'"':  # a string that goes on in the next chunk
                scanned = token.start()
                break
            if depth == 0 and mark in (b",", b"]"):
                item = buffer[start : token.start()].strip()
                if item:
                    yield item
                elif mark == b"," or number > 1:
                    raise _not_json(f"item {number} is missing")
                number, start = number + 1, token.end()
                if mark == b"]":
                    return _expect_end(buffer[token.end() :], chunks)
            elif mark in (b"[", b"{"):
                depth += 1
            elif mark in (b"]", b"}"):
                depth -= 1
                if depth < 0:
                    raise _not_json(f"item {number} closes a bracket that is not open")
        buffer, scanned = buffer[start:], scanned - start
        if len(buffer) > MAX_ROW_BYTES:
            raise _not_json(f"item {number} is longer than {MAX_ROW_BYTES} bytes")
        chunk = next(chunks, b"")
        if not chunk:
            raise _not_json(f"it ends inside item {number}; a quote or a bracket is not closed")
        buffer += chunk


def _expect_end(rest: bytes, chunks: Iterator[bytes]) -> None:
    while rest or (rest := next(chunks, b"")):
        if rest.strip():
            raise _not_json("something stands after the array")
        rest = b""


def _not_json(reason: str) -> InvalidInputError:
    return InvalidInputError("dataset_not_format", format="JSON", reason=reason)


def _ended(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks with a newline after the last line, so that it is no case of its own."""
    held = b""
    for chunk in chunks:
        if held:
            yield held
        held = chunk
    if held:
        yield held if held.endswith(b"\n") else held + b"\n"
