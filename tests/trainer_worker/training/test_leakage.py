"""Rows that training holds out, and test splits that stand in the train split (R-DATA-6)."""

from pathlib import Path

import pytest

from simorgh_shared.child.entry import EXIT_FAILED
from simorgh_shared.child.events import EventLog
from simorgh_shared.persian.code_points import comparison_key
from simorgh_shared.schemas.training import OnLeakage, TrainSpec
from simorgh_trainer.training.data import DatasetInput, Row, hold_out
from simorgh_trainer.training.leakage import check_leakage
from tests.trainer_worker.training.work_folder import (
    TINY_SPEC,
    make_work_folder,
    of_type,
    questions,
    read_events,
    run_child,
    start_child,
)

_LEAKING = [{"question": "كتاب  چيست", "answer": "نمی‌دانم"}, {"question": "آسمان", "answer": "آبی است"}]


class TestHoldOut:
    def test_rows_that_share_a_sentence_after_normalisation_stay_together(self) -> None:
        """R-DATA-6: in another spelling, across fields, and through a third row."""
        rows: list[Row] = [(("user", f"پرسش {n}؟"), ("assistant", f"پاسخ {n}")) for n in range(60)]
        spelt = ("پرسش {}", "پرسش  {} !", "پُرسش {}")
        rows += [(("user", spelt[n % 3].format(n)), ("assistant", f"پاسخ دیگر {n}")) for n in range(0, 60, 2)]
        rows += [(("user", f"پاسخ  دیگر {n}"), ("assistant", "که این‌طور" + "؟" * n)) for n in range(0, 60, 20)]
        train, held = hold_out(rows, 0.2, seed=5)
        assert len(train) + len(held) == len(rows)
        assert 0 < len(held) <= round(0.2 * len(rows))
        sides = [{comparison_key(text) for row in side for _, text in row} for side in (train, held)]
        assert not sides[0] & sides[1]
        assert hold_out(rows, 0.2, seed=5) == (train, held)

    def test_what_a_model_is_told_joins_no_rows(self) -> None:
        """R-DATA-6: all rows of a dataset may have the same system text."""
        rows: list[Row] = [(("system", "کوتاه"), ("user", f"پرسش {n}"), ("assistant", f"پاسخ {n}")) for n in range(20)]
        assert len(hold_out(rows, 0.25, seed=1)[1]) == 5


class TestLeakage:
    def test_a_run_says_the_lines_and_goes_on(self, tmp_path: Path) -> None:
        """R-DATA-6: by default a warning."""
        folder = make_work_folder(tmp_path, TINY_SPEC | {"max_steps": 1}, test=_LEAKING)
        events = run_child(folder)
        warnings = [event["message"] for event in of_type(events, "log") if event["level"] == "warning"]
        assert [warning for warning in warnings if "share" in warning] == [
            "1 of 2 test rows share a sentence with train rows after normalisation: test line 1 with train line 1. "
            "The held-out loss measures memory there."
        ]
        assert of_type(events, "result")

    def test_a_run_that_was_told_so_refuses_and_names_the_lines(self, tmp_path: Path) -> None:
        """R-DATA-6: it can block a job."""
        spec = TINY_SPEC | {"max_steps": 1, "on_leakage": "refuse"}
        folder = make_work_folder(tmp_path, spec, test=_LEAKING)
        assert start_child(folder).finish() == EXIT_FAILED
        events = read_events(folder)
        (failed,) = of_type(events, "failed")
        assert failed["code"] == "leakage"
        assert "test line 1 with train line 1. Take them out" in failed["message"]
        assert not of_type(events, "result")

    @pytest.mark.parametrize("on_leakage", OnLeakage)
    def test_splits_that_share_nothing_pass_in_silence(self, tmp_path: Path, on_leakage: OnLeakage) -> None:
        """R-DATA-6."""
        test = [{"question": "آسمان چه رنگ است؟", "answer": "آبی"}]
        folder = make_work_folder(tmp_path, TINY_SPEC, train=questions()[:8], test=test)
        data = folder / "inputs" / "dataset"
        dataset = DatasetInput("qa", {}, [data / "train.jsonl"], [data / "test.jsonl"])
        with EventLog(folder / "events.jsonl") as events:
            check_leakage(dataset, on_leakage, events)
        assert read_events(folder) == []

    def test_both_spellings_of_the_parameter_are_taken(self) -> None:
        """R-TRAIN-1."""
        assert TrainSpec.model_validate({"onLeakage": "refuse"}).on_leakage is OnLeakage.REFUSE
        assert TrainSpec().on_leakage is OnLeakage.WARN
