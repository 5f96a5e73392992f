"""Subtitles are read back by kept libraries: times grow, and the text is that of the JSON."""

import html
import io
import itertools
from datetime import timedelta

import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from simorgh_shared.speech.subtitles import to_srt, to_vtt
from simorgh_shared.speech.transcript import Segment, join_texts

_CASES: dict[str, list[Segment]] = {
    "nothing was said": [],
    "Persian with ZWNJ": [Segment(0, 0.0, 1.5, "می‌خواهم بروم؛ نمی‌شود!"), Segment(1, 1.5, 2.25, "«کتاب‌ها» را بیاور.")],
    "lines within a text": [Segment(0, 0.0, 1.0, "first\n\nsecond\r\n\r\n third"), Segment(1, 1.0, 2.0, "x")],
    "an arrow in the text": [Segment(0, 0.0, 1.0, "a --> b"), Segment(1, 1.0, 2.0, "00:00:01,000 --> 00:00:02,000")],
    "a cue in the text": [Segment(0, 0.0, 1.0, "x\n\n2\n00:00:09,000 --> 00:00:10,000\ny"), Segment(1, 1.0, 2.0, "z")],
    "marks of WebVTT": [Segment(0, 0.0, 1.0, "a < b && c > d <b>bold</b> &amp; NOTE"), Segment(1, 1.0, 2.0, "NOTE x")],
    "a number alone": [Segment(0, 0.0, 1.0, "1"), Segment(1, 1.0, 2.0, "2"), Segment(2, 2.0, 3.0, "۳")],
    "beyond 99 hours": [Segment(0, 359_999.999, 360_000.5, "late"), Segment(1, 400_000.0, 400_001.0, "later")],
    "texts of nothing": [Segment(0, 0.0, 1.0, " "), Segment(1, 1.0, 2.0, "x"), Segment(2, 2.0, 3.0, "\n")],
    "times that run backwards": [Segment(0, 5.0, 4.0, "a"), Segment(1, 3.0, 3.0, "b"), Segment(2, 1.0, 9.0, "c")],
}


def _expected(segments: list[Segment]) -> list[str]:
    return [text for segment in segments if (text := " ".join(segment.text.split()))]


def _read_srt(text: str) -> list[tuple[timedelta, timedelta, str]]:
    return [(cue.start, cue.end, cue.content) for cue in srt.parse(text)]


def _read_vtt(text: str) -> list[tuple[timedelta, timedelta, str]]:
    captions = webvtt.from_buffer(io.StringIO(text))
    return [
        (timedelta(seconds=c.start_in_seconds), timedelta(seconds=c.end_in_seconds), html.unescape(c.raw_text))
        for c in captions
    ]


def _assert_grows(cues: list[tuple[timedelta, timedelta, str]]) -> None:
    assert all(start <= end for start, end, _ in cues)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(cues))


@pytest.mark.parametrize("segments", _CASES.values(), ids=_CASES.keys())
class TestCases:
    """What texts and times may hold."""

    def test_srt_is_read_back(self, segments: list[Segment]) -> None:
        """R-VOICE-1: SubRip with the text of the JSON."""
        cues = _read_srt(to_srt(segments))
        assert [text for _, _, text in cues] == _expected(segments)
        _assert_grows(cues)

    def test_vtt_is_read_back(self, segments: list[Segment]) -> None:
        """R-VOICE-1: WebVTT with the text of the JSON."""
        cues = _read_vtt(to_vtt(segments))
        assert [text for _, _, text in cues] == _expected(segments)
        _assert_grows(cues)


class TestTimes:
    """Times as they are written."""

    def test_hours_minutes_seconds_and_milliseconds(self) -> None:
        """R-VOICE-1: a comma in SubRip, a point in WebVTT."""
        segments = [Segment(0, 3_725.25, 3_726.0, "x")]
        assert "01:02:05,250 --> 01:02:06,000" in to_srt(segments)
        assert "01:02:05.250 --> 01:02:06.000" in to_vtt(segments)


_SAID = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=40)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 30), _SAID), max_size=8))
def test_any_text_survives_both_forms(spoken: list[tuple[float, float, str]]) -> None:
    """R-VOICE-1: whatever a model says, subtitles and JSON say the same."""
    segments = [Segment(n, start, start + length, text) for n, (start, length, text) in enumerate(spoken)]
    said = " ".join(join_texts((s.text for s in segments), "fa").split())
    for cues in (_read_srt(to_srt(segments)), _read_vtt(to_vtt(segments))):
        assert " ".join(text for _, _, text in cues) == said
        _assert_grows(cues)
