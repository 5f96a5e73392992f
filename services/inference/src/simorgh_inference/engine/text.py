"""Turns token ids into text piece by piece: never half a character, never past a stop string."""

from typing import Protocol


class Decoder(Protocol):
    """Decodes ids, special tokens left out."""

    def __call__(self, ids: list[int]) -> str:
        """The text."""
        ...


class TextStream:
    """The text of one answer as it grows."""

    def __init__(self, decode: Decoder, stop: list[str]) -> None:
        self._decode = decode
        self._stop = stop
        self._ids: list[int] = []
        self._sent = 0
        self.stopped = False
        """A stop string has come; it and what follows are not part of the answer."""

    def add(self, token: int) -> str:
        """What can be sent after this token."""
        self._ids.append(token)
        # What stands for the bytes of a character that is not complete yet waits for the rest of it.
        text = self._decode(self._ids).rstrip("\ufffd")
        found = [at for stop in self._stop if (at := text.find(stop, max(0, self._sent - len(stop)))) >= 0]
        if found:
            self.stopped = True
            return self._take(text[: min(found)])
        return self._take(text[: len(text) - self._held_back(text)])

    def rest(self) -> str:
        """What was held back, at the end."""
        return "" if self.stopped else self._take(self._decode(self._ids).rstrip("\ufffd"))

    def _take(self, text: str) -> str:
        piece, self._sent = text[self._sent :], max(self._sent, len(text))
        return piece

    def _held_back(self, text: str) -> int:
        """Characters at the end that may be the beginning of a stop string."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
