"""A checkpoint: all that decides the rest of a run, as safetensors and JSON.

Files of `checkpoints/step-00000100/`: `weights.safetensors` (float32, by parameter), `optimizer.safetensors` (Adam's
moments, likewise), `position.safetensors` (random states, the epoch's packing plan), `best.safetensors` (with
`keep: best`), `tokenizer.json` and `state.json` (counters, spec, shape, and the `environment` that equality rests on).
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.optim import FlatWeights
from simorgh_trainer.training.packing import EpochPlan

FORMAT_VERSION = 1


@dataclass
class Progress:
    """Where a run is: the counters that a resumed run goes on with."""

    step: int = 0
    epoch: int = 0
    next_row: int = 0
    """In the epoch's plan."""
    elapsed_s: float = 0.0
    """Training time of all attempts up to here."""
    trained_tokens: int = 0
    window_nats: float = 0.0
    """Sums since the last logged step, so that a resumed run logs what the whole one would have."""
    window_labels: int = 0
    first_per_char: float | None = None
    """The first held-out loss: of a model that is trained further, the one before the first step."""
    lowest_per_char: float | None = None
    lowest_step: int | None = None
    evaluations_without_gain: int = 0
    last_evaluation: dict[str, float] = field(default_factory=dict)
    last_evaluation_step: int = -1
    last_loss: float | None = None
    checkpoint_request: int = 0
    """The newest request to save that was answered."""


@dataclass
class Restored:
    """A checkpoint read back; the tensors lie on the CPU."""

    progress: Progress
    spec: dict[str, Any]
    shape: dict[str, Any]
    environment: dict[str, Any]
    plan: EpochPlan
    folder: Path


@dataclass
class TrainingState:
    """The parts of a run that change as it trains."""

    weights: FlatWeights
    optimizer: torch.optim.AdamW
    progress: Progress
    plan: EpochPlan
    best: Tensor | None
    """On the CPU, masters at the lowest held-out loss, where the spec keeps them."""


@dataclass(frozen=True)
class Constants:
    """What a run's checkpoints have in common."""

    spec: Mapping[str, Any]
    shape: Mapping[str, Any]
    total_steps: int
    environment: Mapping[str, Any]
    tokenizer_file: Path


@dataclass
class Snapshot:
    """A moment of a run in memory of its own: the run goes on while this is written."""

    progress: dict[str, Any]
    plan: EpochPlan
    random_states: Mapping[str, Tensor]
    adam_step: Tensor
    best: Tensor | None
    """Never changed in place, so it needs no copy."""

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.progress["step"])


class Buffers:
    """Room for the flat tensors of one snapshot, made and touched once: a fresh copy costs five times as much."""

    def __init__(self, weights: FlatWeights) -> None:
        self.split = weights.split
        size, is_cuda = weights.master.numel(), weights.master.is_cuda  # a GPU writes to pinned memory by itself
        flat = (torch.full((size,), 0.0, pin_memory=is_cuda) for _ in range(3))
        self.master, self.exp_avg, self.exp_avg_sq = flat

    def take(self, state: TrainingState) -> Snapshot:
        """Copy a moment; what was copied before is lost."""
        self.master.copy_(state.weights.master, non_blocking=True)
        start = 0
        for group in state.optimizer.param_groups:
            (parameter,) = group["params"]
            values = state.optimizer.state[parameter]
            part = slice(start, start + parameter.numel())
            for name, buffer in (("exp_avg", self.exp_avg), ("exp_avg_sq", self.exp_avg_sq)):
                if values:
                    buffer[part].copy_(values[name], non_blocking=True)
                else:
                    buffer[part].zero_()
            start += parameter.numel()
        random_states = {"random_state_cpu": torch.get_rng_state()}
        if state.weights.master.is_cuda:
            random_states["random_state_gpu"] = torch.cuda.get_rng_state()
            torch.cuda.synchronize()  # the copies have arrived
        step = values["step"].detach().cpu().clone() if values else torch.zeros(())
        return Snapshot(asdict(state.progress), state.plan, random_states, step, state.best)


def write_checkpoint(root: Path, snapshot: Snapshot, buffers: Buffers, constants: Constants) -> Path:
    """Write a snapshot beside the other checkpoints and show it whole or not at all; its folder."""
    final = root / f"step-{snapshot.step:08d}"
    if final.exists():
        return final  # the same step of the same run holds the same bits
    scratch = final.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    _save_tensors(scratch, snapshot, buffers)
    shutil.copyfile(constants.tokenizer_file, scratch / "tokenizer.json")
    body = {
        "format_version": FORMAT_VERSION,
        "progress": snapshot.progress,
        "spec": constants.spec,
        "shape": constants.shape,
        "total_steps": constants.total_steps,
        "environment": constants.environment,
    }
    (scratch / "state.json").write_text(json.dumps(body, ensure_ascii=False, indent=1), encoding="utf-8")
    show_folder(scratch, final)
    return final


def _save_tensors(folder: Path, snapshot: Snapshot, buffers: Buffers) -> None:
    save_file(dict(buffers.split(buffers.master)), folder / "weights.safetensors")
    moments: dict[str, Tensor] = {"step": snapshot.adam_step}
    for moment, flat in (("exp_avg", buffers.exp_avg), ("exp_avg_sq", buffers.exp_avg_sq)):
        moments |= {f"{moment}.{name}": view for name, view in buffers.split(flat)}
    save_file(moments, folder / "optimizer.safetensors")
    position = {
        "plan_order": torch.from_numpy(snapshot.plan.order),
        "plan_offsets": torch.from_numpy(snapshot.plan.offsets),
        **snapshot.random_states,
    }
    save_file(position, folder / "position.safetensors")
    if snapshot.best is not None:
        save_file(dict(buffers.split(snapshot.best)), folder / "best.safetensors")


def show_folder(scratch: Path, final: Path) -> None:
    """Make a finished folder appear under its name, durable before it can be seen."""
    for path in scratch.iterdir():
        path.chmod(0o644)  # safetensors writes 0600
        _sync(path)
    _sync(scratch)
    scratch.rename(final)
    _sync(final.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_checkpoint(folder: Path) -> Restored:
    """What a checkpoint says of itself; `restore_tensors` brings back the rest.

    Raises: InvalidInputError `checkpoint_unreadable`.
    """
    try:
        body = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if body["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {body['format_version']} is not known here")
        position = load_file(folder / "position.safetensors")
        return Restored(
            progress=Progress(**body["progress"]),
            spec=body["spec"],
            shape=body["shape"],
            environment=body["environment"],
            plan=EpochPlan(position["plan_order"].numpy(), position["plan_offsets"].numpy().astype(np.int64)),
            folder=folder,
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InvalidInputError("checkpoint_unreadable", reason=str(error)) from error


def restore_tensors(restored: Restored, weights: FlatWeights, optimizer: torch.optim.AdamW) -> Tensor | None:
    """Put back weights, moments and random states; the best weights where the checkpoint has them."""
    device = weights.master.device
    weights.load(_flat(weights, load_file(restored.folder / "weights.safetensors"), ""))
    moments = load_file(restored.folder / "optimizer.safetensors")
    flat = {name: _flat(weights, moments, name + ".").to(device) for name in ("exp_avg", "exp_avg_sq")}
    start = 0
    for group in optimizer.param_groups:
        (parameter,) = group["params"]
        part = slice(start, start + parameter.numel())
        values = {name: flat[name][part].clone() for name in flat}
        optimizer.state[parameter] = {"step": moments["step"].clone().to(device), **values}
        start += parameter.numel()
    best = restored.folder / "best.safetensors"
    return _flat(weights, load_file(best), "") if best.exists() else None


def restore_random_states(restored: Restored, hardware: Hardware) -> None:
    """Put the random generators where they were: the last thing before the first step."""
    position = load_file(restored.folder / "position.safetensors")
    torch.set_rng_state(position["random_state_cpu"])
    if hardware.device.type == "cuda" and "random_state_gpu" in position:
        torch.cuda.set_rng_state(position["random_state_gpu"])


def _flat(weights: FlatWeights, named: Mapping[str, Tensor], prefix: str) -> Tensor:
    return torch.cat([named[prefix + name].reshape(-1) for name, _ in weights.split(weights.master)])
