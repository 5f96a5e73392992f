"""The end of a worker: since when, and who has how long."""

import time

from simorgh_shared.domain.jobs import Lane
from simorgh_shared.worker.capacity import Slots
from simorgh_shared.worker.draining import Draining

BOTH = (Lane.LONG, Lane.SHORT)


class TestDraining:
    def test_nobody_is_late_before_it_begins(self) -> None:
        draining = Draining(grace_s=1e-9)
        assert not draining.is_set()
        assert not draining.are_children_late
        assert not draining.is_storing_late

    def test_it_begins_once(self) -> None:
        draining = Draining(grace_s=60)
        assert draining.begin()
        assert draining.is_set()
        ends_in_s = draining.ends_in_s
        assert not draining.begin()
        assert draining.ends_in_s <= ends_in_s

    def test_children_are_late_first_and_the_process_last(self) -> None:
        draining = Draining(grace_s=60)
        draining.begin()
        assert not draining.are_children_late
        assert 0 < draining.attempts_end_in_s < draining.ends_in_s <= 60
        late = Draining(grace_s=1e-6)
        late.begin()
        time.sleep(0.001)
        assert late.are_children_late
        assert late.is_storing_late


class TestCloseIfUnusedSince:
    def test_a_slot_that_is_taken_keeps_all_open(self) -> None:
        """`--exit-when-idle`: between a claim and its job no worker may end."""
        slots = Slots({BOTH: 2})
        slots.take(BOTH)
        assert not slots.close_if_unused_since(time.monotonic() + 60)
        assert slots.take(BOTH)

    def test_a_job_that_came_after_the_moment_keeps_them_open(self) -> None:
        slots = Slots({BOTH: 1})
        moment = time.monotonic()
        slots.take(BOTH)
        slots.give_back(BOTH, was_used=True)
        assert not slots.close_if_unused_since(moment)

    def test_a_look_that_found_nothing_does_not(self) -> None:
        slots = Slots({BOTH: 1})
        moment = time.monotonic()
        slots.take(BOTH)
        slots.give_back(BOTH, was_used=False)
        assert slots.close_if_unused_since(moment)
        assert not slots.take(BOTH), "closed slots are not given out"
