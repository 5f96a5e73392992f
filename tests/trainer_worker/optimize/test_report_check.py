"""A report beside what measuring it again has found: figures alone (R-OPT-2)."""

import copy
from typing import Any

from simorgh_trainer.jobs.report_check import compare_reports

FORM: dict[str, Any] = {
    "bytes": 1_000, "loss": 2.0, "perplexity": 7.389, "tokens_per_s": 50.0, "first_token_ms": 20.0,
    "peak_memory_bytes": 1_000_000,
}  # fmt: skip
REPORT: dict[str, Any] = {
    "held_out": {"rows": 4, "tokens": 90},
    "before": FORM,
    "after": FORM | {"tokens_per_s": None},
    "agreement": {"prompts": 3, "share": 1.0, "equal_start": 1.0},
}


class TestCompareReports:
    def test_sums_in_another_order_are_the_same_and_times_are_not_judged(self) -> None:
        found = copy.deepcopy(REPORT)
        found["before"] |= {"loss": 2.0001, "tokens_per_s": 9.0}
        said = {one.name: one for one in compare_reports(REPORT, found)}
        assert said["before.loss"].repeats is True
        assert (said["before.tokens_per_s"].repeats, said["before.tokens_per_s"].found) == (None, 9.0)

    def test_what_differs_is_told_and_what_was_not_measured_left_out(self) -> None:
        found = copy.deepcopy(REPORT)
        found["after"]["perplexity"] = 7.5
        said = {one.name: one for one in compare_reports(REPORT, found)}
        assert [name for name, one in said.items() if one.repeats is False] == ["after.perplexity"]
        assert "after.tokens_per_s" not in said
