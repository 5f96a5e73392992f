"""Words with times out of CTranslate2's alignments, and segments out of words."""

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_TOKENS_PER_S = 50
_OPENING = "\"'“¿([{-«‘"
_CLOSING = "\"'.。,，!！?？:：”)]}、؟؛،»…’"


@dataclass(frozen=True)
class TimedWord:
    """A word as the model writes it, with the space before it; times in seconds from the start of its chunk."""

    text: str
    start: float
    end: float
    probability: float
    tokens: tuple[int, ...]


def words_of(alignment: Any, tokens: Sequence[int], tokenizer: Any) -> list[TimedWord]:
    """The words of one chunk; marks belong to the word that they stand at."""
    texts, word_tokens = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    texts, word_tokens = texts[:-1], word_tokens[:-1]
    if not texts:
        return []
    pairs = np.array(alignment.alignments, dtype=np.int64).reshape(-1, 2)
    is_first = np.append(True, np.diff(pairs[:, 0]) > 0)
    times = pairs[is_first, 1] / _TOKENS_PER_S  # of each token's first frame, and of the end
    bounds = np.minimum(np.cumsum([0, *(len(of_word) for of_word in word_tokens)]), len(times) - 1)
    words = []
    for text, of_word, first, last in zip(texts, word_tokens, bounds[:-1], bounds[1:], strict=True):
        chances = alignment.text_token_probs[first:last]
        probability = float(np.mean(chances)) if len(chances) else 0.0
        words.append(TimedWord(text, float(times[first]), float(times[last]), probability, tuple(of_word)))
    return _with_marks(words)


def _with_marks(words: Iterable[TimedWord]) -> list[TimedWord]:
    joined: list[TimedWord] = []
    opening: TimedWord | None = None
    for word in words:
        mark = word.text.strip()
        if opening is not None:
            word, opening = _joined(opening, word, start=word.start, end=word.end), None
        if mark and mark in _OPENING and word.text.startswith(" "):
            opening = word
        elif joined and mark and (mark in _CLOSING or all(sign in string.punctuation for sign in mark)):
            joined[-1] = _joined(joined[-1], word, start=joined[-1].start, end=joined[-1].end)
        else:
            joined.append(word)
    return [*joined, opening] if opening is not None else joined


def _joined(first: TimedWord, second: TimedWord, *, start: float, end: float) -> TimedWord:
    probability = min(first.probability, second.probability)
    return TimedWord(first.text + second.text, start, end, probability, first.tokens + second.tokens)
