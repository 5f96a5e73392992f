"""The bytes of an upload on their way in: hashed, spooled, proved to be UTF-8 and cut into lines or items."""

import codecs
import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from simorgh_shared.datasets.rows import BOM, MAX_ROW_BYTES
from simorgh_shared.domain.errors import InvalidInputError

CHUNK_BYTES = 262_144
_JSON_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)


class Intake:
    """One upload being read: after `chunks` (or `drain`) its size and hash are known."""

    def __init__(self, stream: BinaryIO, spool: BinaryIO | None) -> None:
        self._stream = stream
        self._spool = spool
        self._hash = hashlib.sha256()
        self.num_bytes = 0

    @property
    def sha256(self) -> str:
        """The hash of what was read so far."""
        return self._hash.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """The bytes in order without a byte order mark.

        Raises: InvalidInputError (dataset_not_utf8) with the offset and the line of the first bad byte.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        line = 1
        while chunk := self._read():
            start = self.num_bytes - len(chunk)
            pending = decoder.getstate()[0]
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as cause:
                line += (pending + chunk)[: cause.start].count(b"\n")
                offset = start - len(pending) + cause.start
                raise InvalidInputError("dataset_not_utf8", offset=offset, line=line) from cause
            line += chunk.count(b"\n")
            yield chunk.removeprefix(BOM) if start == 0 else chunk
        if rest := decoder.getstate()[0]:
            raise InvalidInputError("dataset_not_utf8", offset=self.num_bytes - len(rest), line=line)

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


def iter_blocks(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Whole lines in blocks, each with the number of its first line; None stands for one line too long."""
    carry, line, skipping = b"", 1, False
    for chunk in _ended(chunks):
        data = carry + chunk
        if skipping:
            _, newline, data = data.partition(b"\n")
            if not newline:
                carry = b""
                continue
            skipping, line = False, line + 1
        end = data.rfind(b"\n") + 1
        block, carry = data[:end], data[end:]
        if block:
            yield line, block
            line += block.count(b"\n")
        if len(carry) > MAX_ROW_BYTES:
            yield line, None
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
    for chunk in chunks:
        buffer += chunk
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
