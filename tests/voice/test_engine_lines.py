"""What an engine says, in the form in which it is stored."""

from simorgh_voice.engine_lines import sort_lines


class TestSortLines:
    """R-VOICE-1: finished groups are what a later attempt goes on from; alive and progress are no events."""

    def test_lines_keep_their_order_and_lose_what_is_the_sockets(self) -> None:
        lines = [
            {"id": "req_1", "type": "progress", "audio_s": 1.0, "total_s": 4.0},
            {"id": "req_1", "type": "alive"},
            {"id": "req_1", "type": "transcribed", "number": 0, "segments": []},
            {"id": "req_1", "type": "part", "number": 0, "path": "part-0.mp3", "text": "سلام", "audio_s": 0.5},
            {"id": "req_1", "type": "result", "duration_s": 4.0},
        ]
        batch = sort_lines(lines, lambda line: {"sha256": "ab", "bytes": 7})
        assert batch.num_lines == 5
        assert batch.progress == {"audio_s": 1.0, "total_s": 4.0}
        assert [(event.type, event.payload) for event in batch.events] == [
            ("transcribed", {"number": 0, "segments": []}),
            ("part", {"number": 0, "text": "سلام", "audio_s": 0.5, "sha256": "ab", "bytes": 7}),
        ]
        assert batch.saves
        assert batch.ending is not None
        assert batch.ending["type"] == "result"

    def test_parts_alone_save_nothing(self) -> None:
        batch = sort_lines([{"type": "part", "number": 0, "path": "x"}], lambda line: {"sha256": "ab"})
        assert not batch.saves
        assert batch.ending is None
