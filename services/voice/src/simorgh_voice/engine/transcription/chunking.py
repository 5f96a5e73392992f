"""Sound as it comes, cut at silences into chunks for one window of the model, and chunks gathered into groups.

What a group holds depends on the sound, on where the group begins and on its number, on nothing before: whoever begins
anew at the end of a group goes on with exactly the groups that would have come.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from simorgh_shared.audio.samples import SAMPLE_RATE, Samples
from simorgh_voice.engine.transcription.voice_activity import WINDOW, PieceFinder, SpeechProbabilities

LONGEST_CHUNK_S = 22
"""Shorter than Whisper's window: the encoder's attention costs its square. Of what base heard of eSpeak's English (two
texts, beam of 5) at 15, 18, 22 s 0.100, 0.080, 0.066 and 0.032 (all three) of the words were wrong; 22 s took 1.2
times as long as 15, and no longer than 18."""
CHUNKS_OF_GROUP = 6
"""Two minutes of speech: what a kill costs at most, and how often a listener hears of progress. The first groups are
smaller, so that whoever listens hears soon."""
_LONGEST_GAP = 5 * SAMPLE_RATE
"""Speech behind a longer silence is heard by itself: next to each other, one may be taken for the end of the other."""
_LONGEST = LONGEST_CHUNK_S * SAMPLE_RATE
_PADDING = round(0.4 * SAMPLE_RATE)
_LISTENED = 32 * WINDOW  # a second and a little: what the network for speech gets at once
_LONGEST_PIECE_WINDOWS = (_LONGEST - 2 * _PADDING) // WINDOW


@dataclass
class Chunk:
    """Pieces of speech that are heard together, and where each was, in samples of the file."""

    pieces: list[tuple[int, int]] = field(default_factory=list)
    _parts: list[Samples] = field(default_factory=list)

    def extend(self, start: int, end: int, samples: Samples) -> None:
        """Add a piece behind the others."""
        self.pieces.append((start, end))
        self._parts.append(samples.copy())

    @property
    def samples(self) -> Samples:
        """What is heard, without the gaps between the pieces."""
        return np.concatenate(self._parts)

    def islands(self) -> list[tuple[float, float]]:
        """Stretches of the chunk, in seconds from its start, between which a second and more was left out."""
        found: list[tuple[float, float]] = []
        passed, before = 0, None
        for start, end in self.pieces:
            is_apart = before is None or start - before >= SAMPLE_RATE
            first = passed / SAMPLE_RATE if is_apart else found.pop()[0]
            passed, before = passed + end - start, end
            found.append((first, passed / SAMPLE_RATE))
        return found

    def part(self, start: int, end: int) -> "Chunk":
        """A stretch of this chunk, in samples from its start, as a chunk of its own."""
        part, passed = Chunk(), 0
        for (first, last), samples in zip(self.pieces, self._parts, strict=True):
            begin, until = max(start - passed, 0), min(end - passed, last - first)
            if begin < until:
                part.extend(first + begin, first + until, samples[begin:until])
            passed += last - first
        return part

    @property
    def num_samples(self) -> int:
        return sum(end - start for start, end in self.pieces)

    @property
    def duration_s(self) -> float:
        return self.num_samples / SAMPLE_RATE

    def time_of(self, heard_s: float, *, is_end: bool = False) -> float:
        """The time in the file of a time in the chunk; at a seam, an end belongs to the piece before."""
        rest = heard_s * SAMPLE_RATE
        for start, end in self.pieces:
            length = end - start
            if rest < length or (is_end and rest <= length):
                return (start + rest) / SAMPLE_RATE
            rest -= length
        return self.pieces[-1][1] / SAMPLE_RATE

    def piece_of(self, heard_s: float) -> int:
        """The number of the piece in which a time lies."""
        rest = heard_s * SAMPLE_RATE
        for number, (start, end) in enumerate(self.pieces):
            rest -= end - start
            if rest < 0:
                return number
        return len(self.pieces) - 1


@dataclass(frozen=True)
class Group:
    """Chunks that are heard in one batch. Positions in samples of the file."""

    start: int
    next_start: int
    """Where the next group begins: all before it is heard, or silent."""
    chunks: list[Chunk]


def groups_of(blocks: Iterable[Samples], start: int, *, vad: bool, number: int = 0) -> Iterator[Group]:
    """The groups of a stream that begins at a sample of the file, where so many groups of speech came before."""
    stream = _Stream(iter(blocks), start)
    gather = _gather_speech if vad else _gather_all
    while True:
        group = gather(stream, min(2 ** (number + 1), CHUNKS_OF_GROUP))
        if group is None:
            return
        yield group
        number += bool(group.chunks)
        stream.drop_before(group.next_start)


class _Stream:
    """The sound from `base` on, as far as it has been read."""

    def __init__(self, blocks: Iterator[Samples], base: int) -> None:
        self._blocks = blocks
        self._held: list[Samples] = []
        self.base = base
        self.end = base

    def read(self) -> bool:
        """Take in the next block; False at the end."""
        block = next(self._blocks, None)
        if block is None:
            return False
        self._held.append(block)
        self.end += len(block)
        return True

    def piece(self, start: int, end: int) -> Samples:
        if len(self._held) != 1:
            self._held = [np.concatenate(self._held)] if self._held else [np.zeros(0, np.float32)]
        return self._held[0][start - self.base : end - self.base]

    def drop_before(self, position: int) -> None:
        if position > self.base:
            self._held, self.base = [self.piece(position, self.end).copy()], position


def _gather_all(stream: _Stream, most_chunks: int) -> Group | None:
    """Windows of full length, whatever is in them."""
    while stream.end - stream.base < most_chunks * _LONGEST and stream.read():
        pass
    end = min(stream.end, stream.base + most_chunks * _LONGEST)
    if end == stream.base:
        return None
    chunks = [_chunk_of(stream, at, min(at + _LONGEST, end)) for at in range(stream.base, end, _LONGEST)]
    return Group(stream.base, end, chunks)


def _gather_speech(stream: _Stream, most_chunks: int) -> Group | None:
    """Pieces of speech, glued while they fit; a group without speech says how far it is silent."""
    start, gathering = stream.base, _Gathering(stream, most_chunks)
    for piece_start, piece_end in _pieces(stream, gathering):
        if not gathering.add(piece_start, piece_end):
            return Group(start, gathering.waiting_from, gathering.chunks)
    if not gathering.finish():
        return Group(start, gathering.waiting_from, gathering.chunks)
    return Group(start, stream.end, gathering.chunks) if stream.end > start else None


def _pieces(stream: _Stream, gathering: "_Gathering") -> Iterator[tuple[int, int]]:
    """Pieces in samples of the file. Windows go to the network in blocks that begin with the group: the same numbers
    come out whoever cut the stream before."""
    probabilities, finder = SpeechProbabilities(), PieceFinder(_LONGEST_PIECE_WINDOWS)
    base = at = stream.base
    while True:
        while stream.end - at >= _LISTENED:
            found = finder.take(probabilities.of(stream.piece(at, at + _LISTENED)))
            at += _LISTENED
            yield from ((base + start, base + end) for start, end in found)
            open_from = finder.open_from
            stream.drop_before(gathering.needed_from(at if open_from is None else base + open_from))
        if not stream.read():
            break
    rest = stream.piece(at, stream.end)
    found = finder.take(probabilities.of(np.pad(rest, (0, -len(rest) % WINDOW)))) if len(rest) else []
    for start, end in found + finder.finish():
        yield base + start, min(base + end, stream.end)


class _Gathering:
    """The chunks of one group while they grow; each piece gets some of the silence around it."""

    def __init__(self, stream: _Stream, most_chunks: int) -> None:
        self.chunks: list[Chunk] = []
        self._stream = stream
        self._most_chunks = most_chunks
        self._earliest = stream.base
        self._waiting: tuple[int, int] | None = None
        """The last piece, begun where it is to begin: how it ends depends on the next."""

    @property
    def waiting_from(self) -> int:
        """Where the piece begins that did not fit any more."""
        assert self._waiting is not None
        return self._waiting[0]

    def needed_from(self, position: int) -> int:
        """From where on the sound is still needed, when speech may begin at a position."""
        return max(min(position - _PADDING, position if self._waiting is None else self._waiting[0]), self._earliest)

    def add(self, start: int, end: int) -> bool:
        """Take a piece; False when the one before it fits into no chunk of this group."""
        padding = min(_PADDING, start - self._earliest)
        if self._waiting is not None:
            padding = min(_PADDING, (start - self._waiting[1]) // 2)
            if not self._place(self._waiting[1] + padding):
                return False
        self._waiting = (start - padding, end)
        return True

    def finish(self) -> bool:
        """Place the last piece; False when it does not fit into this group."""
        if self._waiting is None:
            return True
        return self._place(min(self._waiting[1] + _PADDING, self._stream.end))

    def _place(self, end: int) -> bool:
        assert self._waiting is not None
        start = self._waiting[0]
        if not self.chunks or not self._fits(self.chunks[-1], start, end):
            if len(self.chunks) == self._most_chunks:
                return False
            self.chunks.append(Chunk())
        self.chunks[-1].extend(start, end, self._stream.piece(start, end))
        return True

    def _fits(self, chunk: Chunk, start: int, end: int) -> bool:
        return chunk.num_samples + end - start <= _LONGEST and start - chunk.pieces[-1][1] <= _LONGEST_GAP


def _chunk_of(stream: _Stream, start: int, end: int) -> Chunk:
    chunk = Chunk()
    chunk.extend(start, end, stream.piece(start, end))
    return chunk
