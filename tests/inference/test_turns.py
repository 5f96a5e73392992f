"""Turns are left out whole, the oldest first."""

from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from simorgh_inference.engine import turns
from tests.support.inference import CONTEXT_TOKENS, InferenceServer, ask, refusal

HEADERS = {"x-simorgh-fit": "cut-turns"}


def said(*words: str) -> list[dict[str, str]]:
    """Messages from `u1`, `a2` and the like: who speaks, and how many tokens it is."""
    roles = {"s": "system", "u": "user", "a": "assistant"}
    return [{"role": roles[word[0]], "content": word} for word in words]


def left(words: Sequence[str], most_tokens: int) -> tuple[list[str], int]:
    """The messages whose ids came out, and the turns that were cut."""
    known = {word: index for index, word in enumerate(words)}

    def encode(messages: Sequence[dict[str, str]]) -> list[int]:
        return [known[m["content"]] for m in messages for _ in range(int(m["content"][1:].split(".")[0]))]

    ids, num_cut = turns.fit(said(*words), encode, most_tokens)
    return [words[index] for index in dict.fromkeys(ids)], num_cut


@pytest.fixture(scope="module")
def server(serve: Callable[..., InferenceServer], model_folder: Path) -> InferenceServer:
    return serve("--model-dir", str(model_folder))


@pytest.fixture(scope="module")
def messages() -> list[dict[str, str]]:
    """Longer than the window by some turns."""
    turn = said("u", "a")
    return [*said("s"), *(message | {"content": "z" * 100} for message in turn * 12), *said("u")]


class TestFit:
    def test_what_fits_stays_whole(self) -> None:
        assert left(["a1", "u2", "a3", "u4"], 10) == (["a1", "u2", "a3", "u4"], 0)

    @pytest.mark.parametrize(
        ("most_tokens", "kept", "num_cut"),
        [
            (20, ["s2", "u3.1", "a3.2", "u4.1", "a4.2", "u4.3"], 0),
            (19, ["s2", "u4.1", "a4.2", "u4.3"], 1),
            (14, ["s2", "u4.1", "a4.2", "u4.3"], 1),
            (13, ["s2", "u4.3"], 2),
            (1, ["s2", "u4.3"], 2),
        ],
    )
    def test_no_more_turns_go_than_must(self, most_tokens: int, kept: list[str], num_cut: int) -> None:
        """Never the system message at the beginning, never the last turn."""
        assert left(["s2", "u3.1", "a3.2", "u4.1", "a4.2", "u4.3"], most_tokens) == (kept, num_cut)

    def test_the_first_that_is_left_is_a_users(self) -> None:
        """Where a conversation begins with the assistant, and where a user spoke twice."""
        assert left(["a3", "u1.1", "u1.2", "a1.3", "u1.4"], 5) == (["u1.1", "u1.2", "a1.3", "u1.4"], 1)
        assert left(["a3", "u1.1", "u1.2", "a1.3", "u1.4"], 3) == (["u1.2", "a1.3", "u1.4"], 2)

    def test_a_later_system_message_goes_with_its_turn(self) -> None:
        assert left(["s1.1", "u2.1", "s1.2", "u2.2"], 4) == (["s1.1", "u2.2"], 1)

    @pytest.mark.parametrize("words", [["s5"], ["u5"], ["s2", "a3"], ["s2", "u3", "a4"]])
    def test_where_there_is_one_turn_none_goes(self, words: list[str]) -> None:
        assert left(words, 1) == (words, 0)

    def test_of_many_turns_few_are_tried(self) -> None:
        tried: list[int] = []

        def encode(messages: Sequence[dict[str, str]]) -> list[int]:
            tried.append(len(messages))
            return [0] * len(messages)

        ids, num_cut = turns.fit(said(*(f"u{at}" for at in range(1000))), encode, 300)
        assert (len(ids), num_cut) == (300, 700)
        assert len(tried) <= 12


class TestServer:
    def prompt_tokens(self, server: InferenceServer, messages: list[dict[str, str]]) -> int:
        return int(ask(server, messages=messages, max_tokens=1).json()["usage"]["prompt_tokens"])

    def test_turns_are_cut_when_asked(self, server: InferenceServer, messages: list[dict[str, str]]) -> None:
        """R-CHAT-1: as few as make room; the answer is that to the shorter conversation; a header says how many."""
        given = ask(server, HEADERS, messages=messages, max_tokens=100)
        assert given.status_code == 200, given.text
        num_cut = int(given.headers["x-simorgh-turns-cut"])
        assert num_cut > 0
        shorter = [messages[0], *messages[1 + 2 * num_cut :]]
        assert given.json()["usage"]["prompt_tokens"] == self.prompt_tokens(server, shorter) <= CONTEXT_TOKENS - 100
        longer = [messages[0], *messages[1 + 2 * (num_cut - 1) :]]
        assert "context_length_exceeded" in ask(server, messages=longer, max_tokens=100).text
        expected = ask(server, messages=shorter, max_tokens=100).json()["choices"]
        assert given.json()["choices"] == expected

    def test_a_quarter_of_the_window_is_kept_for_the_answer(
        self, server: InferenceServer, messages: list[dict[str, str]]
    ) -> None:
        given = ask(server, HEADERS, messages=messages, max_tokens=None, stop="\n")
        assert given.json()["usage"]["prompt_tokens"] <= CONTEXT_TOKENS * 3 // 4

    def test_a_stream_says_it_too(self, server: InferenceServer, messages: list[dict[str, str]]) -> None:
        body = {"model": "noise", "messages": messages, "max_tokens": 100, "stream": True, "temperature": 0}
        url = f"{server.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, headers=HEADERS, timeout=60) as stream:
            told = stream.headers["x-simorgh-turns-cut"]
            assert stream.read().endswith(b"data: [DONE]\n\n")
        assert told == ask(server, HEADERS, messages=messages, max_tokens=100).headers["x-simorgh-turns-cut"]

    def test_the_header_is_there_when_it_was_asked_for(self, server: InferenceServer) -> None:
        assert ask(server, HEADERS).headers["x-simorgh-turns-cut"] == "0"
        assert "x-simorgh-turns-cut" not in ask(server).headers

    def test_without_being_asked_nothing_is_cut(self, server: InferenceServer, messages: list[dict[str, str]]) -> None:
        """R-CHAT-1: a prompt that is too long is refused."""
        refusal(ask(server, messages=messages), 400, "context_length_exceeded")

    def test_a_last_turn_that_is_too_long_is_refused(self, server: InferenceServer) -> None:
        longest = [*said("u", "a"), {"role": "user", "content": "z" * (CONTEXT_TOKENS + 1)}]
        for stream in (False, True):
            refusal(ask(server, HEADERS, messages=longest, stream=stream), 400, "context_length_exceeded")

    def test_another_way_to_fit_is_refused(self, server: InferenceServer) -> None:
        assert "cut-turns" in refusal(ask(server, {"x-simorgh-fit": "cut-letters"}), 400, "invalid_parameter")
