"""What is done with the text of a model: loops, compression, words with their marks, segments."""

from types import SimpleNamespace

import numpy as np
import pytest

from simorgh_voice.engine.transcription.chunking import Chunk
from simorgh_voice.engine.transcription.hearing import Heard, compression_ratio, without_loops
from simorgh_voice.engine.transcription.segmenting import segments_of
from simorgh_voice.engine.transcription.words import TimedWord, words_of


class TestWithoutLoops:
    """Loops at the end."""

    @pytest.mark.parametrize(
        ("tokens", "cut"),
        [
            ([], []),
            ([1, 2, 3, 4], [1, 2, 3, 4]),
            ([1, 2, *[7] * 8], [1, 2, 7]),
            ([1, *[7] * 5], [1, *[7] * 5]),
            ([5, *[1, 2, 3] * 6], [5, 1, 2, 3]),
            ([*[1, 2, 3] * 6, 9], [*[1, 2, 3] * 6, 9]),
            ([*[1, 2] * 4], [1, 2]),
        ],
    )
    def test_the_end_is_said_once(self, tokens: list[int], cut: list[int]) -> None:
        """R-VOICE-1: a text that hangs in a loop is cut, a word said three times is not."""
        assert without_loops(tokens) == cut


class TestCompressionRatio:
    """The measure of repetition."""

    def test_loops_are_told_from_speech(self) -> None:
        """R-VOICE-1: Whisper's measure, with its threshold of 2.4."""
        assert compression_ratio("") == 1.0
        assert compression_ratio("The fields were covered with snow, and small villages passed.") < 2.4
        assert compression_ratio("I will not let you go. " * 20) > 2.4


class _Letters:
    """Words of one token each, as a tokenizer splits them."""

    eot = 0

    def __init__(self, words: list[str]) -> None:
        self._words = words

    def split_to_word_tokens(self, tokens: list[int]) -> tuple[list[str], list[list[int]]]:
        return [*self._words, ""], [[token] for token in tokens]


class TestWordsOf:
    """Words out of an alignment."""

    def test_marks_belong_to_their_words(self) -> None:
        """R-VOICE-1: a mark has no time of its own."""
        texts = [" «", "سلام", "»", "،", " دنیا", "؟"]
        alignment = SimpleNamespace(
            alignments=[(0, 0), (1, 5), (1, 6), (2, 20), (3, 21), (4, 30), (5, 50), (6, 60)],
            text_token_probs=[0.5, 0.9, 0.8, 0.7, 0.6, 0.4],
        )
        words = words_of(alignment, [1, 2, 3, 4, 5, 6], _Letters(texts))
        assert [word.text for word in words] == [" «سلام»،", " دنیا؟"]
        assert [(word.start, word.end) for word in words] == [(0.1, 0.4), (0.6, 1.0)]
        assert words[0].tokens == (1, 2, 3, 4)


def _heard(words: list[tuple[str, float, float]], *pieces: tuple[float, float]) -> Heard:
    chunk = Chunk()
    for start, end in pieces:
        length = round((end - start) * 16_000)
        chunk.extend(round(start * 16_000), round(start * 16_000) + length, np.zeros(length, np.float32))
    timed = [TimedWord(text, start, end, 0.5, (1,)) for text, start, end in words]
    return Heard(chunk, timed, -0.1, 0.0, 1.0, 0.0)


class TestSegmentsOf:
    """Segments out of words."""

    def test_sentences_and_pauses_end_a_segment(self) -> None:
        """R-VOICE-1: a segment is a sentence, or what was said between pauses."""
        heard = _heard([(" One.", 0, 1), (" Two", 1, 2), (" three", 3.5, 4)], (10, 15))
        segments = segments_of([heard], with_words=False, earliest_s=0, latest_s=60)
        assert [(s.text, s.start, s.end) for s in segments] == [
            ("One.", 10.0, 11.0),
            ("Two", 11.0, 12.0),
            ("three", 13.5, 14.0),
        ]
        assert [s.id for s in segments] == [0, 1, 2]

    def test_a_number_is_no_end_of_a_sentence(self) -> None:
        """R-VOICE-1: `3.` and `5` of one word stay together."""
        heard = _heard([(" about 3.", 0, 1), ("5", 1, 2)], (0, 5))
        assert [s.text for s in segments_of([heard], with_words=False, earliest_s=0, latest_s=60)] == ["about 3.5"]

    def test_a_long_speech_is_cut_at_its_longest_pause(self) -> None:
        """R-VOICE-1: subtitles stay short enough to be read."""
        words = [(f" w{n}", n * 1.0, n + 0.9 - (0.4 if n == 7 else 0)) for n in range(14)]
        segments = segments_of([_heard(words, (0, 15))], with_words=True, earliest_s=0, latest_s=60)
        assert [len(s.words or ()) for s in segments] == [8, 6]

    def test_times_never_run_backwards(self) -> None:
        """R-VOICE-1: what was heard out of order is put into order, within the group."""
        late = _heard([(" b", 1.0, 1.5)], (20, 25))
        early = _heard([(" a", 0.0, 3.0)], (19, 25))
        segments = segments_of([late, early], with_words=True, earliest_s=19.5, latest_s=21.4)
        assert [s.text for s in segments] == ["a", "b"]
        assert segments[0].start == 19.5
        assert segments[0].end <= segments[1].start < segments[1].end <= 21.4
        assert segments[0].words is not None
        assert segments[0].words[0].start == 19.5
