"""Segments out of what was heard: cut after sentences and at pauses, short enough to be read as a subtitle."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from simorgh_shared.speech.transcript import Segment, Word
from simorgh_voice.engine.transcription.hearing import Heard
from simorgh_voice.engine.transcription.words import TimedWord

_SENTENCE_ENDS = (".", "!", "?", "؟", "…", "。", "！", "？", "۔")
_PAUSE_S = 1.0
_LONGEST_S = 10.0
_MOST_CHARACTERS = 120
_SHORTEST_S = 0.02


def segments_of(heard: Iterable[Heard], *, with_words: bool, earliest_s: float, latest_s: float) -> list[Segment]:
    """The segments of a group in the order of their times, numbered from 0.

    They overlap nowhere and stay within the group, so that the next group's need not know of them.
    """
    found = [_segment(one, part, with_words) for one in heard for part in _parts(_in_file(one))]
    found.sort(key=lambda segment: segment.start)
    starts, ends = [], []
    for segment in found:
        starts.append(max(segment.start, earliest_s))
        ends.append(max(segment.end, starts[-1] + _SHORTEST_S))
        earliest_s = ends[-1]
    for number in reversed(range(len(found))):
        ends[number] = min(ends[number], latest_s)
        starts[number] = latest_s = min(starts[number], ends[number] - _SHORTEST_S)
    return [
        _placed(segment, number, round(starts[number], 3), round(ends[number], 3))
        for number, segment in enumerate(found)
    ]


def _in_file(heard: Heard) -> list[TimedWord]:
    """The words with times of the file. A word that seems to span a gap between pieces lies where its middle is."""
    words = []
    for word in heard.words:
        piece = heard.chunk.piece_of((word.start + word.end) / 2)
        first, last = heard.chunk.pieces[piece]
        start = min(max(heard.chunk.time_of(word.start), first / 16_000), last / 16_000)
        end = min(max(heard.chunk.time_of(word.end, is_end=True), start), last / 16_000)
        words.append(TimedWord(word.text, start, max(end, start), word.probability, word.tokens))
    return words


def _parts(words: Sequence[TimedWord]) -> list[list[TimedWord]]:
    parts: list[list[TimedWord]] = []
    for word in words:
        if parts and not _begins_anew(parts[-1], word):
            parts[-1].append(word)
        else:
            parts.append([word])
    return [piece for part in parts for piece in _shortened(part)]


def _begins_anew(part: Sequence[TimedWord], word: TimedWord) -> bool:
    is_sentence = part[-1].text.rstrip("\"'”»)’").endswith(_SENTENCE_ENDS) and word.text.startswith(" ")
    return is_sentence or word.start - part[-1].end >= _PAUSE_S


def _shortened(part: list[TimedWord]) -> list[list[TimedWord]]:
    """A part that is too long is cut where the pause between two words is longest, the middle first."""
    characters = sum(len(word.text) for word in part)
    if len(part) < 2 or (part[-1].end - part[0].start <= _LONGEST_S and characters <= _MOST_CHARACTERS):
        return [part]
    middle = len(part) / 2
    pauses = [after.start - before.end for before, after in pairwise(part)]
    cut = 1 + max(range(len(pauses)), key=lambda at: (round(pauses[at], 1), -abs(at + 1 - middle)))
    return _shortened(part[:cut]) + _shortened(part[cut:])


def _segment(heard: Heard, part: Sequence[TimedWord], with_words: bool) -> Segment:
    words = [
        Word(word.text.strip(), round(word.start, 3), round(word.end, 3), round(word.probability, 4)) for word in part
    ]
    return Segment(
        0,
        part[0].start,
        part[-1].end,
        "".join(word.text for word in part).strip(),
        words if with_words else None,
        round(heard.avg_logprob, 4),
        round(heard.no_speech_prob, 4),
        round(heard.compression_ratio, 3),
        heard.temperature,
        [token for word in part for token in word.tokens],
    )


def _placed(segment: Segment, number: int, start: float, end: float) -> Segment:
    words = segment.words
    if words is not None:
        words = [Word(w.word, min(max(w.start, start), end), min(max(w.end, start), end), w.probability) for w in words]
    return Segment(
        number,
        start,
        end,
        segment.text,
        words,
        segment.avg_logprob,
        segment.no_speech_prob,
        segment.compression_ratio,
        segment.temperature,
        segment.tokens,
    )
