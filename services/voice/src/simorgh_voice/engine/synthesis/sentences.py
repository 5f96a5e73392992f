"""From a text to what a voice says one by one, with the pauses between. Each is made when it is its turn."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from simorgh_shared.persian.sentences import split_sentences
from simorgh_shared.persian.speakable import speakable

_LONGEST_CHARS = 200  # some 15 s of speech: what the first sound waits for at most, and a voice's memory
_LONGEST_WRITTEN_CHARS = 600  # before it is written out in words
_PARAGRAPH_S = 0.6
_SENTENCE_S = 0.35
_PART_S = 0.15  # after a comma, or where a sentence was cut
_ENDS = ".!?؟…۔。！？।"
_CLOSING = "»”’\"')]} "


@dataclass(frozen=True)
class Spoken:
    """A sentence or a part of one."""

    text: str
    pause_s: float
    """Before what follows it."""
    until: int
    """How many characters of the text as it was given lie behind, about."""


def spoken_sentences(text: str, language: str, verbalise: bool) -> Iterator[Spoken]:
    """The sentences in their order. Persian is written out in words one by one: the first is ready at once."""
    is_persian = language.lower().partition("-")[0] == "fa"
    behind = 0
    for paragraph in text.splitlines():
        pieces: list[str] = []
        for written in split_sentences(paragraph, _LONGEST_WRITTEN_CHARS):
            said = speakable(written, "fa") if is_persian and verbalise else written
            yield from (Spoken(piece, _pause_after(piece), behind) for piece in pieces)
            pieces = [piece for piece in split_sentences(said, _LONGEST_CHARS) if _has_words(piece)]
            behind += len(written)
        if pieces:
            yield from (Spoken(piece, _pause_after(piece), behind) for piece in pieces[:-1])
            yield Spoken(pieces[-1], _PARAGRAPH_S, behind)


def _has_words(piece: str) -> bool:
    """Whether there is a letter, a digit or a sign with a name: of marks alone eSpeak would say their names."""
    return any(unicodedata.category(char)[0] in "LNS" for char in piece)


def _pause_after(piece: str) -> float:
    return _SENTENCE_S if piece.rstrip(_CLOSING)[-1:] in tuple(_ENDS) else _PART_S
