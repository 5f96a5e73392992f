"""As many requests are taken as get their first token in time (R-CHAT-3)."""

import contextlib

import pytest

from simorgh_inference.admission import Admission, Ticket
from simorgh_shared.domain.errors import LimitedError


def waited(ticket: Ticket, seconds: float) -> None:
    """As if its first token had come after so long."""
    ticket.begin()
    ticket.waited_s = seconds


def round_of(admission: Admission, seconds: float) -> int:
    """As many requests as are taken, and how many that were."""
    with contextlib.ExitStack() as held:
        number = admission.limit("bird")
        for _ in range(number):
            waited(held.enter_context(admission.request("bird")), seconds)
        with pytest.raises(LimitedError) as refused:
            held.enter_context(admission.request("bird"))
        assert refused.value.retry_after_s
    return number


class TestAdmission:
    def test_a_number_alone_is_the_limit(self) -> None:
        assert [round_of(Admission(5, None), 100.0) for _ in range(2)] == [5, 5]

    def test_it_grows_while_tokens_come_in_time(self) -> None:
        admission = Admission(12, 2.0)
        taken = [round_of(admission, 0.1) for _ in range(6)]
        assert taken == sorted(taken)
        assert taken[0] < taken[-1] <= 12

    def test_it_falls_once_for_those_that_waited_together(self) -> None:
        admission = Admission(64, 2.0)
        assert [round_of(admission, 1.5) for _ in range(5)] == [8, 5, 4, 4, 4]

    def test_nothing_is_kept_of_models_that_were_not_loaded(self) -> None:
        admission = Admission(64, 2.0)
        with admission.request("nobody"):
            pass
        assert (dict(admission.held), admission._windows) == ({}, {})

    def test_those_who_are_refused_come_again_one_after_the_other(self) -> None:
        """R-CHAT-3: what they cost must not slow down those that were taken."""
        admission, told = Admission(1, None), []
        with admission.request("bird"):
            for _ in range(400):
                with pytest.raises(LimitedError) as refused, admission.request("bird"):
                    pass
                told.append(refused.value.retry_after_s)
        assert (told[0], told[-1]) == (1, 30)
        assert told[100] in (10, 11)
