"""Turns token ids into text piece by piece: never half a character, never past a stop string."""

from typing import Protocol


class Decoder(Protocol):
    """Decodes ids, special tokens left out."""

    def __call__(self, ids: list[int]) -> str:
        """The text."""
        ...


class TextStream:
    """The text of one answer as it grows.

    Each token is decoded with the few before it alone, so that an answer costs as much a token at its end as at its
    beginning. Some tokenizers drop the space before a first token: the tokens of the last text that was whole stay in
    front as context, and what they are decoded to by themselves is cut off again.
    """

    def __init__(self, decode: Decoder, stop: list[str]) -> None:
        self._decode = decode
        self._stop = stop
        self._window: list[int] = []
        self._num_context = 0
        self._context = ""
        """What the first `_num_context` ids of the window are decoded to."""
        self._seen = 0
        """Characters of the window's text that have been looked at."""
        self._pending = ""
        """Text that may be the beginning of a stop string."""
        self.num_characters = 0
        """That have come, those included that cannot be sent yet."""
        self.stopped = False
        """A stop string has come; it and what follows are not part of the answer."""

    def add(self, token: int) -> str:
        """What can be sent after this token."""
        self._window.append(token)
        text = self._decode(self._window)
        # What stands for the bytes of a character that is not complete yet waits for the rest of it.
        whole = text.rstrip("\ufffd")
        come = whole[self._seen :]
        self._pending += come
        self.num_characters += len(come)
        self._seen = max(self._seen, len(whole))
        if len(text) == len(whole) > len(self._context):
            self._window = self._window[self._num_context :]
            self._num_context, self._context = len(self._window), self._decode(self._window)
            self._seen = len(self._context)
        found = [at for stop in self._stop if (at := self._pending.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._pending[: min(found)]
        return self._take(len(self._pending) - self._held_back())

    def rest(self) -> str:
        """What was held back, at the end."""
        return "" if self.stopped else self._take(len(self._pending))

    def _take(self, length: int) -> str:
        piece, self._pending = self._pending[:length], self._pending[length:]
        return piece

    def _held_back(self) -> int:
        """Characters at the end that may be the beginning of a stop string."""
        longest = 0
        for stop in self._stop:
            for length in range(min(len(stop) - 1, len(self._pending)), longest, -1):
                if self._pending.endswith(stop[:length]):
                    longest = length
                    break
        return longest
