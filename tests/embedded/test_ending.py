"""What is told of a run's end, and small things of the program itself."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simorgh_cli.terminal.ending import was_better, why_early
from tests.embedded.program import Simorgh, command

_MAKEFILE = Path(__file__).parents[2] / "Makefile"


def run(step: int = 40, total: int = 100, **metrics: Any) -> dict[str, Any]:
    """A run that succeeded."""
    return {"totalSteps": total, "result": {"step": step, "metrics": metrics}}


class TestEnding:
    """R-API-4, R-TRAIN-5: a run that ended early says why, and what became of better weights."""

    def test_the_end_of_its_time_is_told(self) -> None:
        assert why_early(run(training_seconds=241.0), {"max_minutes": 4.0}) == (
            "It ended at step 40 of 100: its 4 minutes (max_minutes) were over."
        )

    def test_early_stopping_is_told(self) -> None:
        spec = {"early_stopping_patience": 2, "max_minutes": 60}
        said = why_early(run(training_seconds=241.0, lowest_eval_step=20), spec)
        assert said is not None
        assert "2 held-out losses in a row were not below step 20's" in said

    def test_of_a_whole_run_nothing_is_told(self) -> None:
        assert why_early(run(100, training_seconds=241.0), {"max_minutes": 4.0}) is None
        assert why_early({"totalSteps": None, "result": None}, {}) is None

    def test_a_held_out_loss_that_rose_is_told(self) -> None:
        metrics = {"lowest_eval_loss_per_char": 2.1, "lowest_eval_step": 20, "eval_loss_per_char": 2.6}
        said = was_better(run(**metrics), {"keep": "last"})
        assert said is not None
        assert "lower at step 20: 2.100 nats a character, 2.600 at the end" in said
        assert "keep=best" in said

    @pytest.mark.parametrize(("keep", "last"), [("best", 2.6), ("last", 2.1)])
    def test_weights_that_are_the_best_ones_are_not(self, keep: str, last: float) -> None:
        metrics = {"lowest_eval_loss_per_char": 2.1, "lowest_eval_step": 20, "eval_loss_per_char": last}
        assert was_better(run(**metrics), {"keep": keep}) is None


class TestProgram:
    def test_it_tells_its_version(self, tmp_path: Path) -> None:
        """R-API-4."""
        assert re.fullmatch(r"simorgh \d+\.\d+\.\d+\n", Simorgh(tmp_path).run("--version").stdout)
        assert Path(command()[0]).exists()

    def test_make_clean_leaves_the_data_and_clean_data_asks(self, tmp_path: Path) -> None:
        """Whoever follows `make clean setup` keeps accounts and models."""
        kept = tmp_path / "data" / "models"
        kept.mkdir(parents=True)

        def make(*arguments: str) -> int:
            given = ["make", "-f", str(_MAKEFILE), *arguments, f"BIN={Path(sys.executable).parent}"]
            return subprocess.run(given, cwd=tmp_path, capture_output=True, check=False).returncode

        assert make("clean") == 0
        assert make("clean-data") != 0
        assert kept.is_dir()
        assert make("clean-data", "SURE=yes") == 0
        assert not kept.exists()
