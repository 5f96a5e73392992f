"""Rings of means."""

from hypothesis import given
from hypothesis import strategies as st

from simorgh_shared.monitoring.history import Ring


class TestRing:
    def test_a_row_holds_the_means_of_its_period_so_far(self) -> None:
        ring = Ring(period_s=10, num_slots=3)
        assert ring.add(100, {"cpu": 10.0}).figures == {"cpu": 10.0}
        row = ring.add(105, {"cpu": 30.0})
        assert (row.figures, row.at, row.slot) == ({"cpu": 20.0}, 100, 1)
        assert ring.add(110, {"cpu": 5.0}).figures == {"cpu": 5.0}

    def test_what_cannot_be_had_is_null_and_no_zero(self) -> None:
        """R-OPS-3: real values only."""
        ring = Ring(period_s=10, num_slots=3)
        assert ring.add(100, {"cpu": None}).figures == {"cpu": None}
        assert ring.add(101, {"cpu": 4.0}).figures == {"cpu": 4.0}
        assert ring.add(102, {"cpu": None}).figures == {"cpu": 4.0}

    @given(st.lists(st.floats(0, 1e9), min_size=1, max_size=100), st.integers(1, 60), st.integers(1, 20))
    def test_there_are_never_more_slots_than_were_said(self, moments: list[float], period_s: int, slots: int) -> None:
        ring = Ring(period_s, slots)
        rows = [ring.add(moment, {"x": 1.0}) for moment in sorted(moments)]
        assert {row.slot for row in rows} <= set(range(slots))
        assert all(row.at <= moment < row.at + period_s for row, moment in zip(rows, sorted(moments), strict=True))
