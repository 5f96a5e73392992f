"""Cutting at silences: chunks fit the window, nothing spoken is lost, and whoever begins at a group goes on alike."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from simorgh_shared.audio.samples import SAMPLE_RATE, Samples
from simorgh_voice.engine.transcription.chunking import CHUNKS_OF_GROUP, LONGEST_CHUNK_S, Chunk, Group, groups_of
from simorgh_voice.engine.transcription.voice_activity import WINDOW, PieceFinder
from tests.support.voice import spoken

_TEXT = (
    "The morning train left the station late, and nobody knew why. Two children were waiting with their grandfather."
)


@pytest.fixture(scope="module")
def talk() -> Samples:
    """Five minutes of speech; its pauses grow, and one lasts half a minute."""
    said = spoken(_TEXT)[0]
    parts: list[Samples] = []
    for number in range(40):
        parts += [said, np.zeros(round((0.2 + number % 7 * 0.3) * SAMPLE_RATE), np.float32)]
        if number == 20:
            parts.append(np.zeros(30 * SAMPLE_RATE, np.float32))
    return np.concatenate(parts)


def _blocks(sound: Samples, length: int = SAMPLE_RATE) -> Iterator[Samples]:
    for at in range(0, len(sound), length):
        yield sound[at : at + length]


def _told(groups: Iterator[Group]) -> list[tuple[int, int, list[list[tuple[int, int]]]]]:
    return [(group.start, group.next_start, [chunk.pieces for chunk in group.chunks]) for group in groups]


class TestGroupsOf:
    """Groups of chunks."""

    @pytest.mark.parametrize("vad", [True, False])
    def test_a_later_start_gives_the_same_rest(self, talk: Samples, vad: bool) -> None:
        """R-VOICE-4: a group depends on the sound and its own start alone."""
        whole = _told(groups_of(_blocks(talk), 0, vad=vad))
        assert len(whole) >= 3
        for number, (_, next_start, _) in enumerate(whole, start=1):
            rest = _told(groups_of(_blocks(talk[next_start:]), next_start, vad=vad, number=number))
            assert rest == whole[number:]

    def test_the_cutting_of_the_stream_is_not_seen(self, talk: Samples) -> None:
        """R-VOICE-4: blocks of any length give the same groups."""
        whole = _told(groups_of(_blocks(talk), 0, vad=True))
        for length in (777, 100_003, len(talk)):
            assert _told(groups_of(_blocks(talk, length), 0, vad=True)) == whole

    def test_chunks_fit_and_hold_what_they_name(self, talk: Samples) -> None:
        """R-VOICE-1: each chunk fits the window; its pieces grow, overlap nowhere and hold the samples of the file."""
        reached, sizes = 0, []
        for group in groups_of(_blocks(talk), 0, vad=True):
            assert len(group.chunks) <= CHUNKS_OF_GROUP
            sizes.append(len(group.chunks))
            for chunk in group.chunks:
                assert 0 < chunk.duration_s <= LONGEST_CHUNK_S
                assert np.array_equal(chunk.samples, np.concatenate([talk[a:b] for a, b in chunk.pieces]))
                for start, end in chunk.pieces:
                    assert reached <= start < end
                    reached = end
            assert reached <= group.next_start
        assert reached <= len(talk)
        assert sizes[:3] == [2, 4, 6]

    def test_nothing_loud_is_left_out(self, talk: Samples) -> None:
        """R-VOICE-1: all speech is in some chunk."""
        heard = np.zeros(len(talk), bool)
        for group in groups_of(_blocks(talk), 0, vad=True):
            for chunk in group.chunks:
                for start, end in chunk.pieces:
                    heard[start:end] = True
        energy = np.square(talk)
        assert float(energy[heard].sum()) > 0.999 * float(energy.sum())
        assert heard.mean() < 0.95

    def test_silence_gives_no_chunks_and_costs_no_memory(self) -> None:
        """R-VOICE-4, R-VOICE-7: silence is heard to its end without being kept."""
        seconds = 300
        tracemalloc.start()
        told = _told(groups_of((np.zeros(SAMPLE_RATE, np.float32) for _ in range(seconds)), 0, vad=True))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert told == [(0, seconds * SAMPLE_RATE, [])]
        assert peak_bytes < 2 << 20

    def test_an_empty_stream_gives_nothing(self) -> None:
        """R-VOICE-4: a file that was heard to its end goes on with nothing."""
        assert _told(groups_of(iter(()), 5, vad=True)) == []
        assert _told(groups_of(iter(()), 5, vad=False)) == []

    @pytest.mark.parametrize("length", [1, WINDOW - 1, WINDOW, WINDOW + 1, 33 * WINDOW])
    def test_short_sounds(self, length: int) -> None:
        """R-VOICE-7: a clip may be as short as one sample."""
        told = _told(groups_of(iter([np.zeros(length, np.float32)]), 0, vad=True))
        assert told == [(0, length, [])]


class TestChunk:
    """Times of a chunk in the file."""

    def test_times_lie_in_their_piece(self) -> None:
        """R-VOICE-1: the gaps between pieces come back into the times."""
        chunk = Chunk()
        chunk.extend(16_000, 32_000, np.zeros(16_000, np.float32))
        chunk.extend(80_000, 96_000, np.ones(16_000, np.float32))
        assert [chunk.time_of(at) for at in (0.0, 0.5, 1.0, 1.5, 9.0)] == [1.0, 1.5, 5.0, 5.5, 6.0]
        assert chunk.time_of(1.0, is_end=True) == 2.0
        assert [chunk.piece_of(at) for at in (0.5, 1.5, 9.0)] == [0, 1, 1]

    def test_islands_are_told_by_their_distance(self) -> None:
        """R-VOICE-1: pieces with less than a second between them are one island."""
        chunk = Chunk()
        for start, end in ((0, 16_000), (20_000, 36_000), (60_000, 76_000)):
            chunk.extend(start, end, np.zeros(end - start, np.float32))
        assert chunk.islands() == [(0.0, 2.0), (2.0, 3.0)]

    def test_a_part_knows_where_it_was(self) -> None:
        """R-VOICE-1: a stretch that is heard again keeps its place."""
        chunk = Chunk()
        chunk.extend(16_000, 32_000, np.zeros(16_000, np.float32))
        chunk.extend(80_000, 96_000, np.ones(16_000, np.float32))
        part = chunk.part(12_000, 20_000)
        assert part.pieces == [(28_000, 32_000), (80_000, 84_000)]
        assert part.samples.tolist() == [0.0] * 4_000 + [1.0] * 4_000


class TestPieceFinder:
    """Pieces out of probabilities."""

    def _found(self, probabilities: list[float], longest: int = 100) -> list[tuple[int, int]]:
        finder = PieceFinder(longest)
        found = finder.take(np.array(probabilities, np.float32)) + finder.finish()
        return [(start // WINDOW, end // WINDOW) for start, end in found]

    def test_a_short_pause_ends_nothing(self) -> None:
        """R-VOICE-1: 160 ms of silence end a piece, less does not."""
        assert self._found([0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1]) == [(2, 10), (17, 18)]

    def test_what_is_neither_goes_on(self) -> None:
        """R-VOICE-1: between both thresholds nothing changes."""
        assert self._found([1, *[0.4] * 20, 1]) == [(0, 22)]

    def test_a_piece_that_is_too_long_is_cut_where_it_is_quietest(self) -> None:
        """R-VOICE-1: a speech without pauses is cut in its last third."""
        probabilities = [1.0] * 60
        probabilities[25] = 0.5
        assert self._found(probabilities, longest=30)[:2] == [(0, 25), (25, 45)]
