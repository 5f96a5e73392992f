"""The pieces of an answer: whole characters, and nothing from a stop string on."""

import pytest

from simorgh_inference.engine.text import TextStream

TEXT = "می‌روم 🐦‍🔥 خانه"


def pieces(data: bytes, stop: list[str]) -> list[str]:
    """What a stream gives where each byte is a token."""
    stream = TextStream(lambda ids: bytes(ids).decode(errors="replace"), stop)
    given = []
    for token in data:
        given.append(stream.add(token))
        if stream.stopped:
            return given
    return [*given, stream.rest()]


class TestTextStream:
    def test_no_piece_holds_half_a_character(self) -> None:
        """R-CHAT-1."""
        given = pieces(TEXT.encode(), [])
        assert "".join(given) == TEXT
        assert not any("\ufffd" in piece for piece in given)

    def test_each_character_is_sent_as_soon_as_it_is_whole(self) -> None:
        given = pieces(TEXT.encode(), [])
        assert [piece for piece in given if piece] == list(TEXT)

    @pytest.mark.parametrize("stop", ["🔥", "وم", "م 🐦", "روم 🐦"])
    def test_nothing_of_a_stop_string_is_sent(self, stop: str) -> None:
        assert "".join(pieces(TEXT.encode(), [stop])) == TEXT[: TEXT.index(stop)]

    def test_the_first_of_several_stop_strings_ends_the_text(self) -> None:
        assert "".join(pieces(b"one two three", ["three", "tw"])) == "one "

    def test_the_beginning_of_a_stop_string_is_sent_once_it_is_none(self) -> None:
        assert "".join(pieces(b"abcabd", ["abcd"])) == "abcabd"

    def test_what_may_be_a_stop_string_is_sent_at_the_end(self) -> None:
        assert "".join(pieces(b"text EN", ["END"])) == "text EN"

    def test_a_stop_string_is_seen_before_half_a_character(self) -> None:
        """A token may hold the end of the stop string and the first byte of what follows."""
        tokens = [b"text EN", b"D\xd8"]
        stream = TextStream(lambda ids: b"".join(tokens[at] for at in ids).decode(errors="replace"), ["END"])
        given = stream.add(0) + stream.add(1) + stream.rest()
        assert given == "text "
        assert stream.stopped
