"""The text of a group of chunks: what came out badly is heard again, loops are cut, nothing spoken is left out."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from simorgh_shared.audio.samples import SAMPLE_RATE
from simorgh_voice.engine.transcription.chunking import Chunk
from simorgh_voice.engine.transcription.model import (
    FULL_WINDOW_S,
    Choice,
    Encoded,
    Hypothesis,
    Transcriber,
    window_of,
)
from simorgh_voice.engine.transcription.spec import TranscriptionSpec
from simorgh_voice.engine.transcription.words import TimedWord, words_of

_MOST_COMPRESSION = 2.4
_LEAST_LOGPROB = -1.0
_NO_SPEECH = 0.6
_BEAM_SIZE = 5
"""Against one: word errors 0.066 for 0.097 and 0.032 for 0.065, in 1.1 times the time; Persian in a quarter, since
far fewer chunks run into a loop and are heard again."""
_AGAIN = (
    Choice(beam_size=_BEAM_SIZE),
    Choice(beam_size=_BEAM_SIZE, no_repeat_ngram_size=4, repetition_penalty=1.1),
)
"""How a chunk is heard again, in the full window. Without drawing: CTranslate2's random state cannot be set anew in a
process, and a resumed job must find the same text."""
_LEAST_UNHEARD_S = 2.0
_LEAST_ISLAND_S = 1.1  # of them up to 0.8 are the silence around it
_LONGEST_WORD_S, _CHARACTER_S = 0.8, 0.12
_LEAST_REPEATS = 4


@dataclass(frozen=True)
class Heard:
    """What was heard in one chunk."""

    chunk: Chunk
    words: list[TimedWord]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    is_repeated: bool = False
    """Whether this is a stretch of another chunk, heard alone since that left it out."""


class Hearing:
    """Hears groups of chunks in one language."""

    def __init__(
        self, transcriber: Transcriber, spec: TranscriptionSpec, language: str, check: Callable[[], None]
    ) -> None:
        self._transcriber = transcriber
        self._spec = spec
        self._check = check
        self._tokenizer = transcriber.tokenizer(language, spec.task)

    def hear(self, parts: Sequence[Sequence[Chunk]], encoded: Sequence[Encoded]) -> list[Heard]:
        """What is said in chunks that were encoded in parts, in the order of the sound."""
        heard = self._heard_at_once(parts, encoded)
        left_out = [stretch for one in heard for stretch in self._left_out(one)]
        if left_out:
            self._check()
            parts = self._transcriber.split(left_out)
            again = self._heard_at_once(parts, encoded_at_once(self._transcriber, parts))
            heard += [replace(one, is_repeated=True) for one in again if one.words]
        return heard

    def _heard_at_once(self, parts: Sequence[Sequence[Chunk]], encoded: Sequence[Encoded]) -> list[Heard]:
        both = list(zip(parts, encoded, strict=True))
        return [one for part in self._transcriber.at_once(lambda part: self._heard(*part), both) for one in part]

    def _heard(self, chunks: Sequence[Chunk], encoded: Encoded) -> list[Heard]:
        temperature = (self._spec.temperature or (0.0,))[0]
        first = Choice(_BEAM_SIZE if temperature == 0 else 1, temperature)
        found = self._transcriber.decode(encoded, self._tokenizer, self._spec.prompt, first)
        self._check()
        if len(self._spec.temperature) > 1:
            found = self._improved(chunks, found)
        tokens = [[] if _is_silence(one) else without_loops(one.tokens) for one in found]
        aligned = self._transcriber.align(encoded, self._tokenizer, tokens) if any(tokens) else [None] * len(tokens)
        return [
            Heard(
                chunk,
                words_of(alignment, one_tokens, self._tokenizer) if one_tokens else [],
                one.avg_logprob,
                one.no_speech_prob,
                compression_ratio(self._tokenizer.decode(one_tokens)),
                first.temperature,
            )
            for chunk, one, one_tokens, alignment in zip(chunks, found, tokens, aligned, strict=True)
        ]

    def _improved(self, chunks: Sequence[Chunk], found: list[Hypothesis]) -> list[Hypothesis]:
        """Each chunk whose text is doubtful is heard again, and its best text taken."""
        tried = [[one] for one in found]
        for choice in _AGAIN[: len(self._spec.temperature) - 1]:
            doubtful = [number for number, all_of in enumerate(tried) if self._is_doubtful(all_of[-1])]
            if not doubtful:
                break
            encoded = self._transcriber.encode([chunks[number].samples for number in doubtful], FULL_WINDOW_S)
            again = self._transcriber.decode(encoded, self._tokenizer, self._spec.prompt, choice)
            for number, one in zip(doubtful, again, strict=True):
                tried[number].append(one)
            self._check()
        return [self._best(all_of) for all_of in tried]

    def _best(self, tried: Sequence[Hypothesis]) -> Hypothesis:
        if not self._is_doubtful(tried[-1]):
            return tried[-1]
        without_loop = [one for one in tried if self._compression(one) <= _MOST_COMPRESSION]
        return max(without_loop or tried, key=lambda one: one.avg_logprob)

    def _is_doubtful(self, one: Hypothesis) -> bool:
        if _is_silence(one):
            return False
        return one.avg_logprob < _LEAST_LOGPROB or self._compression(one) > _MOST_COMPRESSION

    def _compression(self, one: Hypothesis) -> float:
        return compression_ratio(self._tokenizer.decode(one.tokens))

    def _left_out(self, heard: Heard) -> list[Chunk]:
        """Stretches of speech of a chunk in which no word was heard, where there were words beside them."""
        if not self._spec.vad or not heard.words or self._spec.task != "transcribe":
            return []
        covered = [(word.start, min(word.end, word.start + _spoken_s(word.text))) for word in heard.words]
        stretches: list[tuple[float, float]] = []
        for first, last in heard.chunk.islands():
            if any(first <= (start + end) / 2 < last for start, end in covered):
                stretches += [(a, b) for a, b in _gaps(covered, first, last) if b - a >= _LEAST_UNHEARD_S]
            elif last - first >= _LEAST_ISLAND_S:
                stretches.append((first, last))
        return [heard.chunk.part(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for a, b in stretches]


def encoded_at_once(transcriber: Transcriber, parts: Sequence[Sequence[Chunk]]) -> list[Encoded]:
    """The parts of a group, in a window that fits the longest chunk of all."""
    window_s = window_of([chunk.samples for part in parts for chunk in part])
    return transcriber.at_once(lambda part: transcriber.encode([chunk.samples for chunk in part], window_s), parts)


def _gaps(covered: Sequence[tuple[float, float]], first: float, last: float) -> list[tuple[float, float]]:
    """What of a stretch no word covers."""
    gaps, until = [], first
    for start, end in [*covered, (last, last)]:
        if min(start, last) > until:
            gaps.append((until, min(start, last)))
        until = max(until, end)
    return gaps


def without_loops(tokens: list[int]) -> list[int]:
    """Tokens whose end says the same again and again, cut after the first time."""
    for period in range(1, len(tokens) // _LEAST_REPEATS + 1):
        repeats = 1
        while tokens[-(repeats + 1) * period : -repeats * period] == tokens[-period:]:
            repeats += 1
        if repeats >= _LEAST_REPEATS and repeats * period >= 8:
            return tokens[: len(tokens) - (repeats - 1) * period]
    return tokens


def compression_ratio(text: str) -> float:
    """How much shorter a text becomes by compression: loops become much shorter."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 1.0


def _is_silence(one: Hypothesis) -> bool:
    return one.no_speech_prob > _NO_SPEECH and one.avg_logprob < _LEAST_LOGPROB


def _spoken_s(word: str) -> float:
    return max(_LONGEST_WORD_S, _CHARACTER_S * len(word))
