"""Checkpoints that are written beside the training: a moment, whole, or the reason why not."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from simorgh_shared.schemas.training import TrainSpec
from simorgh_trainer.training import checkpoint, saving
from simorgh_trainer.training.checkpoint import Constants, Progress, TrainingState
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.optim import FlatWeights, make_optimizer
from simorgh_trainer.training.packing import EpochPlan
from simorgh_trainer.training.saving import CheckpointSaver

PLAN = EpochPlan(torch.arange(4).numpy(), torch.tensor([0, 2, 4]).numpy())


@pytest.fixture
def state() -> TrainingState:
    """Two steps into a run of a tiny model."""
    model = Llama(ModelShape(16, 1, 2, 2, 16, 300, 64))
    model.initialise(1)
    weights = FlatWeights(model, torch.float32)
    made = TrainingState(weights, make_optimizer(weights, TrainSpec()), Progress(), PLAN, None)
    for _ in range(2):
        advance(made)
    return made


def advance(state: TrainingState) -> None:
    """A step with a gradient of ones."""
    for group in state.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad.fill_(1.0)
    state.optimizer.step()
    state.weights.publish()
    state.progress.step += 1


@pytest.fixture
def make_saver(tmp_path: Path) -> Callable[[TrainingState], tuple[CheckpointSaver, list[tuple[Any, ...]]]]:
    def make(state: TrainingState) -> tuple[CheckpointSaver, list[tuple[Any, ...]]]:
        told: list[tuple[Any, ...]] = []
        (tmp_path / "tokenizer.json").write_text("{}")
        constants = Constants({}, {}, 10, {}, tmp_path / "tokenizer.json")
        return CheckpointSaver(tmp_path / "checkpoints", state, constants, lambda *event: told.append(event)), told

    return make


class TestSave:
    def test_what_is_written_is_the_moment_of_the_call(
        self, state: TrainingState, make_saver: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R-TRAIN-6: the run goes on while its checkpoint is written, and the checkpoint does not see it."""
        saver, told = make_saver(state)
        gate = threading.Event()
        write = checkpoint.write_checkpoint

        def held(*arguments: Any) -> Path:
            assert gate.wait(10)
            return write(*arguments)

        monkeypatch.setattr(saving, "write_checkpoint", held)
        then = state.weights.master.clone()
        saver.save("interval")
        advance(state)  # while the writer waits
        assert told == []
        gate.set()
        saver.finish()
        ((path, step, reason, _),) = told
        assert (step, reason) == (2, "interval")
        saved = load_file(path / "weights.safetensors")
        assert torch.equal(torch.cat([saved[name].reshape(-1) for name, _ in state.weights.split(then)]), then)
        assert not torch.equal(then, state.weights.master)

    def test_moments_are_adams(self, state: TrainingState, make_saver: Any) -> None:
        saver, told = make_saver(state)
        with saver:
            saver.save("requested")
        saved = load_file(told[0][0] / "optimizer.safetensors")
        assert saved["step"].item() == 2
        parameter = state.optimizer.param_groups[0]["params"][0]
        expected = state.optimizer.state[parameter]["exp_avg_sq"]
        names = [name for name, view in state.weights.split(state.weights.master) if view.dim() >= 2]
        assert torch.equal(torch.cat([saved[f"exp_avg_sq.{name}"].reshape(-1) for name in names]), expected)

    def test_next_one_waits_for_the_one_before(self, state: TrainingState, make_saver: Any) -> None:
        saver, told = make_saver(state)
        with saver:
            for _ in range(3):
                saver.save("interval")
                advance(state)
        assert [event[1] for event in told] == [2, 3, 4]
        assert all((event[0] / "state.json").is_file() for event in told)

    def test_failure_is_raised_where_the_run_trains(
        self, state: TrainingState, make_saver: Any, tmp_path: Path
    ) -> None:
        """R-TRAIN-11: a disk that takes no checkpoint ends the run with the reason, not with a silent thread."""
        saver, told = make_saver(state)
        (tmp_path / "checkpoints").write_text("a file stands in the way")
        saver.save("interval")
        with pytest.raises(OSError, match="checkpoints"):
            saver.finish()
        assert told == []

    def test_failure_of_the_run_comes_before_that_of_a_checkpoint(
        self, state: TrainingState, make_saver: Any, tmp_path: Path
    ) -> None:
        saver, _ = make_saver(state)
        (tmp_path / "checkpoints").write_text("a file stands in the way")

        def train() -> None:
            with saver:
                saver.save("interval")
                raise ValueError("the loss is no number")

        with pytest.raises(ValueError, match="the loss"):
            train()
