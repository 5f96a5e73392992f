"""The batches of a run, in the order that its plans give; on a GPU a step's are made while the one before computes."""

from dataclasses import dataclass

import numpy as np

from simorgh_shared.schemas.training import TrainSpec
from simorgh_trainer.training.checkpoint import TrainingState
from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.packing import Batch, EpochPlan, Samples, build_batch, plan_epoch


@dataclass(frozen=True)
class _Made:
    """The batches of one step, and where the run is once it has taken them."""

    batches: list[Batch]
    plan: EpochPlan
    epoch: int
    next_row: int


class Feed:
    """Makes batches from where the state is. The state moves on when they are taken, not when they are made."""

    def __init__(self, spec: TrainSpec, samples: Samples, hardware: Hardware, state: TrainingState) -> None:
        self._spec = spec
        self._samples = samples
        self._hardware = hardware
        self._state = state
        self._is_ahead = hardware.device.type == "cuda"
        self.has_one_shape = self._is_ahead and spec.packing
        """A GPU repeats what was recorded once (passes.py); rows that are not packed would be mostly padding."""
        self._width = spec.sequence_length if self.has_one_shape else None
        self._ahead: _Made | None = None

    def take(self) -> list[Batch]:
        """The batches of the next step; a batch may end one epoch and begin the next."""
        made, self._ahead = self._ahead or self._make(), None
        progress = self._state.progress
        self._state.plan, progress.epoch, progress.next_row = made.plan, made.epoch, made.next_row
        return made.batches

    def prepare(self) -> None:
        """Make them already, if a device computes meanwhile."""
        if self._is_ahead and self._ahead is None:
            self._ahead = self._make()

    def _make(self) -> _Made:
        spec, progress = self._spec, self._state.progress
        plan, epoch, next_row = self._state.plan, progress.epoch, progress.next_row
        batches = []
        for _ in range(spec.gradient_accumulation):
            rows: list[np.ndarray] = []
            while len(rows) < spec.batch_size:
                if next_row == plan.num_rows:
                    epoch, next_row = epoch + 1, 0
                    lengths = self._samples.lengths
                    plan = plan_epoch(lengths, spec.sequence_length, spec.seed, epoch, packing=spec.packing)
                rows.append(plan.row(next_row))
                next_row += 1
            hardware = self._hardware
            batches.append(build_batch(self._samples, rows, hardware.dtype, hardware.device, self._width))
        return _Made(batches, plan, epoch, next_row)
