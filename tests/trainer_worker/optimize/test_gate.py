"""The gate of an optimisation, and how answers are compared: figures alone (R-OPT-2)."""

import pytest

from simorgh_shared.schemas.optimization import MeasuredView
from simorgh_trainer.optimize.gate import judge_gate
from simorgh_trainer.optimize.run import agreement


def measured(perplexity: float, tokens_per_s: float | None) -> MeasuredView:
    return MeasuredView(
        runtime="transformers",
        bytes=1,
        loss=0.0,
        perplexity=perplexity,
        tokens_per_s=tokens_per_s,
        first_token_ms=1.0,
        peak_memory_bytes=1,
    )


class TestJudgeGate:
    def test_nothing_asked_is_nothing_missed(self) -> None:
        """R-OPT-2: the figures are told all the same."""
        found = judge_gate({}, measured(10, 50), measured(20, 25))
        assert (found.passed, found.perplexity_increase, found.speedup) == (True, 1.0, 0.5)

    @pytest.mark.parametrize(("after", "passed"), [(10.1, True), (10.2, False), (float("inf"), False)])
    def test_perplexity(self, after: float, passed: bool) -> None:
        """R-OPT-2: a share of what it was."""
        found = judge_gate({"max_perplexity_increase": 0.011}, measured(10, 50), measured(after, 50))
        assert found.passed is passed

    def test_both_are_told_with_their_numbers(self) -> None:
        gate = {"max_perplexity_increase": 0.01, "min_speedup": 2.0}
        found = judge_gate(gate, measured(10, 50), measured(12, 60))
        assert "from 10 to 12, +20.00 %, and 1 % more is allowed" in found.missed[0]
        assert "60.0 tokens/s where 50.0 were made, 1.20 times as many, and 2 times is asked for" in found.missed[1]

    def test_speed_that_is_not_known_is_no_speedup(self) -> None:
        assert not judge_gate({"min_speedup": 0.1}, measured(10, 50), measured(10, None)).passed


class TestAgreement:
    def test_what_comes_after_the_end_does_not_count(self) -> None:
        """R-OPT-2: 9 ends an answer."""
        found = agreement([[1, 2, 9, 4], [1, 2, 3, 4]], [[1, 2, 9, 5], [1, 2, 5, 4]], frozenset({9}))
        assert (found.prompts, found.equal, found.share) == (2, 1, 0.5)
        assert found.equal_start == 5 / 7

    def test_as_many_as_both_had_time_for(self) -> None:
        assert agreement([[1], [2], [3]], [[1], [2]], frozenset()).prompts == 2
