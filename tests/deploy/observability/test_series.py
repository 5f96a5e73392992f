"""R-OPS-5: labels are bounded, whatever users do. What a busy run shows, tests/e2e/test_journey.py counts."""

import pytest
from deploy.observability.series import LABELS, unexpected
from prometheus_client import REGISTRY, generate_latest

from simorgh_shared.queue.applying import MetricPoint
from simorgh_shared.worker.figures import RunFigures


def training_series() -> list[str]:
    lines = generate_latest(REGISTRY).decode().splitlines()
    return [line for line in lines if line.startswith("simorgh_training_") and "place=" in line]


def told(step: int) -> list[MetricPoint]:
    return [
        MetricPoint("loss", step, 2.5),
        MetricPoint("tokens_per_s", step, 900.0),
        MetricPoint("unheard_of", step, 1.0),
    ]


class TestUnexpected:
    @pytest.mark.parametrize(
        "line", ['x{job_id="job_1"} 1', 'x{queue="mine"} 1', 'x{route="/api/jobs/job_01m8erx382jh"} 1']
    )
    def test_it_names_a_label_or_a_value_that_nobody_allowed(self, line: str) -> None:
        """The check that the counts of a busy run go through can fail."""
        assert len(list(unexpected(line + "\n"))) == 1

    def test_what_is_allowed_passes(self) -> None:
        line = 'x{queue="train.cpu",lane="short",route="/api/jobs/{job_id}/events",status="2xx",le="+Inf"} 1\n'
        assert list(unexpected(line)) == []

    def test_no_label_takes_whatever_comes(self) -> None:
        """No pattern takes an id as the platform makes them."""
        patterns = [allowed for allowed in LABELS.values() if not isinstance(allowed, frozenset)]
        ids = (
            "job_01m8erx382jhhgdnhej96k4qy0",
            "/api/models/mver_01m8erwc53emefdjjdbztxae9m",
            "user-3f2a@example.test",
        )
        assert [(one.pattern, text) for one in patterns for text in ids if one.fullmatch(text)] == []


class TestRunFigures:
    def test_a_run_is_shown_by_its_place_and_gone_with_its_end(self) -> None:
        run = RunFigures()
        run.note(told(3), {"total_steps": 20})
        shown = training_series()
        assert 'simorgh_training_loss{place="0"} 2.5' in shown
        assert 'simorgh_training_planned_steps{place="0"} 20.0' in shown
        assert not [line for line in shown if "unheard_of" in line]
        run.close()
        assert training_series() == []

    def test_places_are_used_again(self) -> None:
        """A worker that has run a thousand jobs shows no more series than one that runs its first."""
        first, second = RunFigures(), RunFigures()
        first.note(told(1), {})
        second.note(told(1), {})
        first.close()
        for _ in range(50):
            run = RunFigures()
            run.note(told(1), {})
            assert 'simorgh_training_loss{place="0"} 2.5' in training_series()
            run.close()
        assert {line.partition("{")[2].partition("}")[0] for line in training_series()} == {'place="1"'}
        second.close()

    def test_one_that_tells_of_nothing_takes_no_place(self) -> None:
        run = RunFigures()
        run.note([MetricPoint("rows", 1, 2.0)], {"phase": "reading"})
        assert training_series() == []
        run.close()

    def test_steps_are_counted_once_also_after_a_resume(self) -> None:
        before = REGISTRY.get_sample_value("simorgh_training_steps_total") or 0.0
        run = RunFigures()
        run.note([], {"from_step": 10})
        run.note(told(12), {"total_steps": 20})
        run.note(told(15), {})
        run.close()
        assert (REGISTRY.get_sample_value("simorgh_training_steps_total") or 0.0) - before == 5
