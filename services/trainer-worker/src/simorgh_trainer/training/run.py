"""One attempt of a run: from `run.json` to the model folder."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from simorgh_shared.child.control import ControlFile
from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.training import Keep, Method, TrainSpec
from simorgh_trainer.training import lora
from simorgh_trainer.training.checkpoint import (
    Constants,
    Progress,
    Restored,
    TrainingState,
    restore_random_states,
    restore_tensors,
)
from simorgh_trainer.training.hardware import choose_hardware, product_limit
from simorgh_trainer.training.loop import Run, train
from simorgh_trainer.training.model import Llama
from simorgh_trainer.training.model_folder import write_adapter, write_model, write_tuned
from simorgh_trainer.training.optim import FlatWeights, make_optimizer
from simorgh_trainer.training.packing import EpochPlan, plan_epoch
from simorgh_trainer.training.prepare import Prepared, prepare
from simorgh_trainer.training.saving import CheckpointSaver
from simorgh_trainer.training.yardsticks import answers

_DECIDES_PLAN = ("sequence_length", "packing", "seed", "eval_fraction", "normalise")
_FEW_STEPS = 300  # 50 rows are known by heart after 150 at a learning rate of 0.002; the default learns slower
_DECIDES_NOTHING = ("name", "tags", "experiment", "priority", "checkpoints_kept")


def run_attempt(folder: Path, events: EventLog) -> None:
    """Train as `run.json` says, and write `output/` unless asked to leave before.

    Raises: AppError for what the user can do something about; CancelledError.
    """
    body = json.loads((folder / "run.json").read_bytes())
    spec = TrainSpec.model_validate(body["spec"])
    prepared = prepare(folder, body["inputs"], spec, choose_hardware(spec), events)
    model, state = build(prepared, events)
    total_steps = count_steps(prepared)
    limit = _measure_limit(prepared)
    _announce(prepared, state, count_parameters(model), total_steps, limit, events)
    saver = _saver(folder, prepared, state, total_steps, events)
    start = prepared.start
    run = Run(
        spec,
        model,
        prepared.samples,
        prepared.held_out,
        prepared.hardware,
        total_steps,
        limit,
        saver,
        begins_trained=start.base is not None,
    )
    if state.progress.step == 0:
        _tell_answers(prepared, model, "before", events)
    if start.restored is not None:
        restore_random_states(start.restored, prepared.hardware)
    begun_at = state.progress.step
    with saver:
        left = train(run, state, events, ControlFile(folder / "control.json").read)
    if left is not None:
        events.emit("left", reason=left, step=state.progress.step)
        return
    if state.progress.step == begun_at and body["inputs"].get("is_anothers_checkpoint"):
        raise InvalidInputError("nothing_left", step=begun_at)
    if state.best is not None:
        state.weights.load(state.best)
    _tell_answers(prepared, model, "after", events)
    _finish(folder, body, prepared, state, count_parameters(model), events)


def build(prepared: Prepared, events: EventLog) -> tuple[Llama, TrainingState]:
    """The model and all that changes as it trains, fresh or as the checkpoint has it."""
    spec, hardware, start = prepared.spec, prepared.hardware, prepared.start
    torch.manual_seed(spec.seed)
    model = Llama(start.shape, spec.dropout)
    if start.base is not None and (spec.method is Method.LORA or start.restored is None):
        model.load_state_dict(start.base.weights())
    elif start.restored is None:
        model.initialise(spec.seed)
    if spec.method is Method.LORA:
        lora.adapt(model, spec)
    model.to(hardware.device)
    model.rope_cos, model.rope_sin = model.rope_cos.to(hardware.dtype), model.rope_sin.to(hardware.dtype)
    weights = FlatWeights(model, hardware.dtype)
    optimizer = make_optimizer(weights, spec)
    if start.restored is None:
        return model, TrainingState(weights, optimizer, Progress(), _plan(prepared, 0), None)
    best = restore_tensors(start.restored, weights, optimizer)
    progress = start.restored.progress
    return model, TrainingState(weights, optimizer, progress, _plan_to_go_on(prepared, start.restored, events), best)


def _plan(prepared: Prepared, epoch: int) -> EpochPlan:
    spec = prepared.spec
    lengths = prepared.samples.lengths
    return plan_epoch(lengths, spec.sequence_length, spec.seed, epoch, packing=spec.packing)


def _plan_to_go_on(prepared: Prepared, restored: Restored, events: EventLog) -> EpochPlan:
    """The checkpoint's plan, unless it is of other samples: then a new one, from its first row."""
    spec, progress = prepared.spec.model_dump(mode="json"), restored.progress
    for difference in _differences(restored.environment, prepared.environment):
        events.warn(f"This attempt is not sure to equal an uninterrupted run: {difference}.")
    changed = [name for name in spec if spec[name] != restored.spec.get(name) and name not in _DECIDES_NOTHING]
    for name in changed:
        events.warn(f"{name} is {spec[name]}; the checkpoint was made with {restored.spec.get(name)}.")
    is_same_data = restored.environment["dataset"] == prepared.environment["dataset"]
    if is_same_data and not set(changed) & set(_DECIDES_PLAN):
        return restored.plan
    events.warn(f"Epoch {progress.epoch} begins anew: the rows are packed differently from the checkpoint's.")
    progress.next_row = 0
    return _plan(prepared, progress.epoch)


def _differences(then: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in now.items():
        other = then.get(name)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found += _differences(other, value, f"{name} ")
        elif value != other:
            found.append(f"{prefix}{name} is {value}, the checkpoint was made with {other}")
    return found


def count_steps(prepared: Prepared) -> int:
    """Steps of the whole run; later epochs pack into a row more or less, the first one decides."""
    spec = prepared.spec
    rows = round(spec.epochs * _plan(prepared, 0).num_rows)
    by_epochs = max(1, -(-rows // (spec.batch_size * spec.gradient_accumulation)))
    return by_epochs if spec.max_steps is None else min(by_epochs, spec.max_steps)


def count_parameters(model: Llama) -> int:
    """All of the model's, adapters too."""
    return sum(parameter.numel() for parameter in model.parameters())


def _measure_limit(prepared: Prepared) -> float:
    shape, spec = prepared.start.shape, prepared.spec
    tokens = min(4_096, spec.batch_size * spec.sequence_length)
    return product_limit(prepared.hardware, tokens, shape.hidden_size, shape.intermediate_size)


def _announce(
    prepared: Prepared, state: TrainingState, num_parameters: int, total_steps: int, limit: float, events: EventLog
) -> None:
    hardware = prepared.hardware
    events.emit(
        "started",
        device=hardware.device.type,
        precision=hardware.precision,
        threads=hardware.threads,
        omp_wait_policy=os.environ.get("OMP_WAIT_POLICY"),
        gomp_spincount=os.environ.get("GOMP_SPINCOUNT"),
        instruction_set=prepared.environment["instruction_set"],
        num_parameters=num_parameters,
        num_trained_parameters=state.weights.master.numel(),
        vocab_size=prepared.start.shape.vocab_size,
        total_steps=total_steps,
        train_rows=prepared.num_train_rows,
        eval_rows=prepared.held_out.num_rows if prepared.held_out else 0,
        train_samples=len(prepared.samples),
        train_tokens=int(prepared.samples.lengths.sum()),
        packed_rows=state.plan.num_rows,
        product_flops_per_s=limit,
    )
    if prepared.start.restored is None and prepared.start.base is None and total_steps < _FEW_STEPS:
        events.warn(
            f"A model that begins from nothing learns little in {total_steps} steps: several hundred are wanted."
            " Raise epochs, lower batch_size, or train a model further."
        )
    if prepared.start.restored is not None:
        events.emit("resumed", from_step=state.progress.step)


def _saver(
    folder: Path, prepared: Prepared, state: TrainingState, total_steps: int, events: EventLog
) -> CheckpointSaver:
    def tell(path: Path, step: int, reason: str, seconds: float) -> None:
        where = str(path.relative_to(folder))
        events.emit("checkpoint", step=step, path=where, reason=reason, seconds=round(seconds, 3))

    constants = Constants(
        spec=prepared.spec.model_dump(mode="json"),
        shape=asdict(prepared.start.shape),
        total_steps=total_steps,
        environment=prepared.environment,
        tokenizer_file=prepared.start.tokenizer_file,
    )
    return CheckpointSaver(folder / "checkpoints", state, constants, tell)


def _tell_answers(prepared: Prepared, model: Llama, when: str, events: EventLog) -> None:
    """What the model answers to the report's prompts."""
    if prepared.prompts:
        told = answers(model, prepared.start.row_format, prepared.prompts, prepared.hardware)
        events.emit("answers", when=when, answers=told)


def _finish(
    folder: Path,
    body: Mapping[str, Any],
    prepared: Prepared,
    state: TrainingState,
    num_parameters: int,
    events: EventLog,
) -> None:
    progress, spec = state.progress, prepared.spec
    is_best = spec.keep is Keep.BEST and state.best is not None
    metrics = {
        "loss": progress.last_loss,
        **progress.last_evaluation,
        "first_eval_loss_per_char": progress.first_per_char,
        "lowest_eval_loss_per_char": progress.lowest_per_char,
        "lowest_eval_step": progress.lowest_step,
        "trigram_loss_per_char": prepared.trigram_per_char,
        "trained_tokens": progress.trained_tokens,
        "training_seconds": round(progress.elapsed_s, 3),
        "num_parameters": num_parameters,
        "num_trained_parameters": state.weights.master.numel(),
    }
    lineage = {
        "job_id": body["job_id"],
        "attempt": body["attempt"],
        "given": body.get("lineage"),
        "spec": spec.model_dump(mode="json"),
        "step": progress.lowest_step if is_best else progress.step,
        "environment": prepared.environment,
        "metrics": metrics,
    }
    _write(folder / "output", prepared, dict(state.weights.split(state.weights.master)), lineage)
    events.emit("result", path="output", step=progress.step, metrics=metrics)


def _write(final: Path, prepared: Prepared, named: Mapping[str, Tensor], lineage: Mapping[str, Any]) -> None:
    start, base = prepared.start, prepared.start.base
    if prepared.spec.method is Method.LORA and base is not None:
        write_adapter(final, named, prepared.spec, base.folder, base.chat, lineage)
    elif base is not None and base.chat is not None:
        write_tuned(final, named, start.shape, base.folder, base.chat, lineage)
    else:
        write_model(final, named, start.shape, start.tokenizer, start.tokenizer_file, lineage)
