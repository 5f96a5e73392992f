"""Transcripts: one text of many segments, and their JSON form."""

import msgspec
import pytest

from simorgh_shared.speech.transcript import (
    Segment,
    Word,
    from_builtins,
    join_texts,
    make_transcript,
    segments_of,
    to_builtins,
)


class TestJoinTexts:
    """The text of a transcript."""

    def test_segments_are_joined_by_one_space(self) -> None:
        """R-VOICE-1: the text is what the segments say."""
        assert join_texts([" می‌رویم ", "", "  ", "خانه."], "fa") == "می‌رویم خانه."

    def test_languages_without_spaces_get_none(self) -> None:
        """R-VOICE-1: no space is put into Chinese."""
        assert join_texts(["你好", "世界"], "zh") == "你好世界"


class TestMakeTranscript:
    """Transcripts as a whole."""

    def test_silence_makes_an_empty_text(self) -> None:
        """R-VOICE-7: silence is an empty text, no error."""
        transcript = make_transcript("fa", 3.0, [])
        assert (transcript.text, transcript.segments) == ("", [])


class TestSegmentsOf:
    """Segments out of the events of a job."""

    def test_groups_are_numbered_throughout(self) -> None:
        """R-VOICE-4: a transcript in several events is one."""
        first = Segment(0, 0.0, 1.0, "یک", words=[Word("یک", 0.0, 1.0, 0.5)], tokens=[1, 2])
        second = Segment(0, 1.0, 2.0, "دو")
        groups = [{"number": 0, "segments": to_builtins([first])}, {"number": 1, "segments": to_builtins([second])}]
        found = segments_of(groups)
        assert found == [first, msgspec.structs.replace(second, id=1)]

    def test_another_shape_is_refused(self) -> None:
        """Events are parsed where they are read."""
        with pytest.raises(msgspec.ValidationError):
            from_builtins([{"id": 0, "start": "soon"}])
