"""Tokens of quick steps leave together, and what somebody waits for leaves at once (R-CHAT-1, R-CHAT-3)."""

import pytest

from simorgh_inference.engine.outbox import HELD_S, Outbox, joined
from simorgh_inference.engine.protocol import Piece


class Steps:
    """An outbox on a clock that moves by the step."""

    def __init__(self) -> None:
        self.sent: list[list[Piece]] = []
        self._now = 0.0
        self.outbox = Outbox(self.sent.append, lambda: self._now)

    def step(self, seconds: float, *pieces: Piece) -> None:
        self._now += seconds
        self.outbox.add(pieces)

    def texts(self) -> list[list[str]]:
        return [[piece.get("text", "") for piece in message] for message in self.sent]


@pytest.fixture
def steps() -> Steps:
    return Steps()


def token(text: str, request_id: str = "a") -> Piece:
    return Piece(id=request_id, text=text)


def test_a_first_token_does_not_wait(steps: Steps) -> None:
    """R-CHAT-1: nor do those of other requests that are held then."""
    steps.step(0.003, token("1"))
    steps.step(0.003, token("2"))
    assert steps.texts() == [["1"]]
    steps.step(0.003, token("3"), token("x", "b"))
    assert steps.texts() == [["1"], ["23", "x"]]


def test_an_end_does_not_wait(steps: Steps) -> None:
    """R-CHAT-1: and the request may come again."""
    steps.step(0.003, token("1"))
    steps.step(0.003, token("2"))
    steps.step(0.003, Piece(id="a", text="3", finish="stop", prompt_tokens=4, completion_tokens=3))
    expected = Piece(id="a", text="23", tokens=2, finish="stop", prompt_tokens=4, completion_tokens=3)
    assert steps.sent[1:] == [[expected]]


def test_quick_steps_leave_together_and_in_time(steps: Steps) -> None:
    """R-CHAT-1: no token waits longer than it may, whatever the next step takes, when that is as long as this one."""
    steps.step(0.004, token("0"))
    for number in range(1, 20):
        steps.step(0.004, token(f"{number},"))
    assert steps.texts()[:3] == [["0"], ["1,2,3,4,5,6,7,8,"], ["9,10,11,12,13,14,15,16,"]]
    assert HELD_S >= 7 * 0.004  # so long the first of them waited
    assert [piece.get("tokens") for message in steps.sent[1:3] for piece in message] == [8, 8]


def test_slow_steps_leave_one_by_one(steps: Steps) -> None:
    """R-CHAT-1: a large model's tokens come as they are made."""
    for text in "abc":
        steps.step(HELD_S + 0.001, token(text))
    assert steps.texts() == [["a"], ["b"], ["c"]]


def test_what_was_cancelled_is_not_sent(steps: Steps) -> None:
    """R-CHAT-3."""
    steps.step(0.003, token("1"))
    steps.step(0.003, token("2"))
    steps.outbox.forget("a")
    steps.outbox.flush()
    assert steps.texts() == [["1"]]


def test_likelihoods_are_joined_too() -> None:
    """R-CHAT-1: one entry for each token."""
    one, other = Piece(id="a", text="x", logprobs=[]), Piece(id="a", text="", logprobs=[])
    assert joined(one, other) == Piece(id="a", text="x", tokens=2, logprobs=[])
    assert joined(joined(one, other), token("y"))["tokens"] == 3
