"""What a worker has to give."""

import pytest

from simorgh_shared.domain.jobs import Lane
from simorgh_shared.worker.capacity import Slots

ANY, SHORT, LONG = (Lane.LONG, Lane.SHORT), (Lane.SHORT,), (Lane.LONG,)


class TestSlots:
    """Architecture 5: each lane has its own slots, so that two long files never hold up a clip."""

    def test_each_kind_is_taken_and_given_back_by_itself(self) -> None:
        slots = Slots({SHORT: 1, LONG: 1})
        assert slots.take(LONG)
        assert not slots.take(LONG)
        assert slots.take(SHORT)
        assert slots.num_free == 0
        slots.give_back(LONG)
        assert not slots.take(SHORT)
        assert slots.take(LONG)

    def test_a_kind_of_which_there_is_none_is_not_tried(self) -> None:
        slots = Slots({ANY: 2, SHORT: 0})
        assert slots.kinds == (ANY,)
        assert slots.num_slots == 2

    def test_it_knows_which_lanes_it_serves(self) -> None:
        assert Slots({SHORT: 1, LONG: 1}).lanes == ["long", "short"]
        assert Slots({SHORT: 1}).lanes == ["short"]

    @pytest.mark.parametrize("wrong", [{ANY: 0}, {ANY: -1, SHORT: 2}])
    def test_a_worker_without_slots_is_refused(self, wrong: dict[tuple[Lane, ...], int]) -> None:
        with pytest.raises(ValueError, match="slot"):
            Slots(wrong)
