"""What an answer's tokens are in bytes, and how likely each was: told with the text that it is part of."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simorgh_inference.engine.protocol import Scored

LEAST = -9999.0  # what OpenAI's clients read for a token that cannot be: JSON has no infinity
_ONE_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPACE = "\u2581"  # SentencePiece's sign


class TokenBytes:
    """The bytes of a tokenizer's tokens. Those of a character may be spread over several tokens."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._added: dict[int, Any] = tokenizer.added_tokens_decoder
        kinds = _decoders(json.loads(tokenizer.backend_tokenizer.to_str()).get("decoder")) if tokenizer.is_fast else {}
        self._letters = _byte_letters() if "ByteLevel" in kinds else None
        self._marks_spaces = "Metaspace" in kinds or _SPACE in kinds.get("Replace", "")

    def of(self, token: int) -> tuple[str | None, list[int] | None]:
        """Its text, None where its bytes are no whole characters; its bytes, None for a special token, which is no
        part of a text."""
        added = self._added.get(token)
        if added is not None and added.special:
            return added.content, None
        data = added.content.encode() if added is not None else self._ordinary(token)
        try:
            return data.decode(), list(data)
        except UnicodeDecodeError:
            return None, list(data)

    def _ordinary(self, token: int) -> bytes:
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:  # the model has more ids than its tokenizer
            return b""
        if self._letters is not None and all(letter in self._letters for letter in piece):
            return bytes(self._letters[letter] for letter in piece)
        if one := _ONE_BYTE.fullmatch(piece):
            return bytes([int(one[1], 16)])
        if self._marks_spaces:
            return str(piece).replace(_SPACE, " ").encode()
        return str(self._tokenizer.decode([token])).encode()


@dataclass
class Scores:
    """The tokens of one answer that wait for their text: a stop string may still take it back."""

    bytes_of: TokenBytes
    _waiting: list[Scored] = field(default_factory=list)

    def add(self, token: int, before: int, after: int, logprob: float, top: Sequence[tuple[int, float]]) -> None:
        """A token that made the answer grow from so many characters to so many.

        One that is whole stands at the end of them: before it may have come what stands for half a character.
        """
        text, data = self.bytes_of.of(token)
        at = before if data is None or text is None else max(before, after - len(text))
        scored = Scored(at=at, logprob=max(logprob, LEAST), top=[], text=text, bytes=data)
        for other, its_logprob in top:
            text, data = self.bytes_of.of(other)
            scored["top"].append({"text": text, "bytes": data, "logprob": max(its_logprob, LEAST)})
        self._waiting.append(scored)

    def take(self, num_sent: int) -> list[Scored]:
        """Those that begin within the characters that were sent."""
        num_ready = sum(scored["at"] < num_sent for scored in self._waiting)
        ready, self._waiting = self._waiting[:num_ready], self._waiting[num_ready:]
        return ready

    def rest(self) -> list[Scored]:
        """All others, at an end that takes nothing back."""
        ready, self._waiting = self._waiting, []
        return ready


def _decoders(decoder: Any) -> dict[str, str]:
    """The kinds of a tokenizer's decoders, each with its description."""
    if not isinstance(decoder, dict):
        return {}
    found = {str(decoder["type"]): json.dumps(decoder, ensure_ascii=False)}
    for one in decoder.get("decoders", ()):
        found |= _decoders(one)
    return found


def _byte_letters() -> dict[str, int]:
    """The letter by which a byte-level tokenizer writes each byte.

    Source: the table of GPT-2's tokenizer. Printable bytes stand for themselves, the others for the letters from
    U+0100 on.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + at): byte for at, byte in enumerate(others)}
