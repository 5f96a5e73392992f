"""One attempt of a run: from `run.json` to the model folder."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.training import PRESETS, Keep, TrainSpec
from simorgh_trainer.training.checkpoint import (
    Progress,
    Restored,
    TrainingState,
    open_checkpoint,
    restore_random_states,
    restore_tensors,
    save_checkpoint,
)
from simorgh_trainer.training.control import ControlFile
from simorgh_trainer.training.data import DatasetInput, Row, hold_out, num_characters, read_rows
from simorgh_trainer.training.evaluate import HeldOut
from simorgh_trainer.training.events import EventLog
from simorgh_trainer.training.hardware import Hardware, choose_hardware, instruction_set, product_limit
from simorgh_trainer.training.loop import Run, train
from simorgh_trainer.training.methods.pretrain import encode_rows
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.optim import FlatWeights, make_optimizer
from simorgh_trainer.training.output import file_hash, write_model
from simorgh_trainer.training.packing import Samples, plan_epoch
from simorgh_trainer.training.tokenizer import load_tokenizer, train_tokenizer

CONTEXT_TOKENS = 512
"""Positions that a fresh model takes at least: a chat may run longer than a training row."""
_LIBRARIES = ("torch", "tokenizers", "safetensors", "numpy", "transformers")


@dataclass(frozen=True)
class Prepared:
    """What is known before the first step."""

    spec: TrainSpec
    hardware: Hardware
    tokenizer: Tokenizer
    tokenizer_file: Path
    shape: ModelShape
    samples: Samples
    held_out: HeldOut | None
    train_rows: int
    environment: dict[str, Any]
    restored: Restored | None


def run_attempt(folder: Path, events: EventLog) -> None:
    """Train as `run.json` says, and write `output/` unless asked to leave before.

    Raises: AppError for what the user can do something about; CancelledError.
    """
    body = json.loads((folder / "run.json").read_bytes())
    spec = TrainSpec.model_validate(body["spec"])
    hardware = choose_hardware(spec)
    prepared = prepare(folder, body["inputs"], spec, hardware, events)
    model, state = _build(prepared)
    total_steps = _total_steps(prepared, state)

    def save(reason: str) -> None:
        begun = time.monotonic()
        path = save_checkpoint(
            folder / "checkpoints",
            state,
            spec=spec.model_dump(mode="json"),
            shape=asdict(prepared.shape),
            total_steps=total_steps,
            environment=prepared.environment,
            tokenizer_file=prepared.tokenizer_file,
        )
        seconds = round(time.monotonic() - begun, 3)
        events.emit(
            "checkpoint",
            step=state.progress.step,
            path=str(path.relative_to(folder)),
            reason=reason,
            seconds=seconds,
        )

    run = _start(prepared, model, state, total_steps, save, events)
    left = train(run, state, events, ControlFile(folder / "control.json").read)
    if left is not None:
        events.emit("left", reason=left, step=state.progress.step)
        return
    _finish(folder, body, prepared, state, events)


def prepare(
    folder: Path, inputs: dict[str, Any], spec: TrainSpec, hardware: Hardware, events: EventLog
) -> Prepared:
    """Read the rows, train or load the tokenizer, encode, and open the checkpoint to go on from."""
    dataset = DatasetInput.from_run(inputs["dataset"], folder)
    restored = open_checkpoint(folder / inputs["checkpoint"]) if inputs.get("checkpoint") else None
    train_rows, eval_rows = _read(dataset, spec)
    if not train_rows:
        raise InvalidInputError("no_rows", method=spec.method.value)
    tokenizer, tokenizer_file = _tokenizer(folder, spec, train_rows, restored)
    shape = _shape(spec, tokenizer, restored)
    samples = encode_rows(train_rows, tokenizer, spec.sequence_length)
    held_out = None
    if eval_rows:
        held_out = HeldOut(
            encode_rows(eval_rows, tokenizer, spec.sequence_length), num_characters(eval_rows), len(eval_rows)
        )
    else:
        events.warn("No rows are held out: this run reports no held-out loss.")
    environment = {
        "threads": hardware.threads,
        "instruction_set": instruction_set(hardware),
        "precision": hardware.precision,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "dataset": dataset.fingerprint(),
        "tokenizer": file_hash(tokenizer_file),
    }
    return Prepared(
        spec,
        hardware,
        tokenizer,
        tokenizer_file,
        shape,
        samples,
        held_out,
        len(train_rows),
        environment,
        restored,
    )


def _read(dataset: DatasetInput, spec: TrainSpec) -> tuple[list[Row], list[Row]]:
    train_rows = read_rows(dataset.train, dataset.row_schema, dataset.columns)
    if dataset.test:
        return train_rows, read_rows(dataset.test, dataset.row_schema, dataset.columns)
    return hold_out(train_rows, spec.eval_fraction, spec.seed)


def _tokenizer(
    folder: Path, spec: TrainSpec, rows: list[Row], restored: Restored | None
) -> tuple[Tokenizer, Path]:
    if restored is not None:
        path = restored.folder / "tokenizer.json"
        return load_tokenizer(path), path
    if spec.preset is None:
        raise InvalidInputError("unknown_preset", model=spec.model, known=", ".join(PRESETS))
    path = folder / "tokenizer.json"
    vocab_size = spec.vocab_size or spec.preset.vocab_size
    tokenizer = train_tokenizer((text for row in rows for _, text in row), vocab_size)
    tokenizer.save(str(path))
    return tokenizer, path


def _shape(spec: TrainSpec, tokenizer: Tokenizer, restored: Restored | None) -> ModelShape:
    if restored is not None:
        return ModelShape(**restored.shape)
    if spec.preset is None:
        raise InvalidInputError("unknown_preset", model=spec.model, known=", ".join(PRESETS))
    return ModelShape.from_preset(
        spec.preset, tokenizer.get_vocab_size(), max(CONTEXT_TOKENS, spec.sequence_length)
    )


def _build(prepared: Prepared) -> tuple[Llama, TrainingState]:
    spec, hardware = prepared.spec, prepared.hardware
    torch.manual_seed(spec.seed)
    model = Llama(prepared.shape, spec.dropout)
    if prepared.restored is None:
        model.initialise(spec.seed)
    model.to(hardware.device)
    model.rope_cos, model.rope_sin = model.rope_cos.to(hardware.dtype), model.rope_sin.to(hardware.dtype)
    weights = FlatWeights(model, hardware.dtype)
    optimizer = make_optimizer(weights, spec)
    lengths = prepared.samples.lengths
    if prepared.restored is None:
        plan = plan_epoch(lengths, spec.sequence_length, spec.seed, 0, packing=spec.packing)
        return model, TrainingState(weights, optimizer, Progress(), plan, None)
    best = restore_tensors(prepared.restored, weights, optimizer)
    progress, plan = prepared.restored.progress, prepared.restored.plan
    return model, TrainingState(weights, optimizer, progress, plan, best)


def _total_steps(prepared: Prepared, state: TrainingState) -> int:
    spec = prepared.spec
    rows = state.plan.num_rows
    if state.progress.epoch > 0:  # epochs differ by a row or two: the first one decides
        lengths = prepared.samples.lengths
        rows = plan_epoch(lengths, spec.sequence_length, spec.seed, 0, packing=spec.packing).num_rows
    by_epochs = max(
        1, -(-int(spec.epochs * rows * 1_000) // (1_000 * spec.batch_size * spec.gradient_accumulation))
    )
    return by_epochs if spec.max_steps is None else min(by_epochs, spec.max_steps)


def _start(
    prepared: Prepared,
    model: Llama,
    state: TrainingState,
    total_steps: int,
    save: Callable[[str], None],
    events: EventLog,
) -> Run:
    """Say what starts, and measure what it is compared with."""
    spec, hardware, shape = prepared.spec, prepared.hardware, prepared.shape
    tokens = min(4_096, spec.batch_size * spec.sequence_length)
    limit = product_limit(hardware, tokens, shape.hidden_size, shape.intermediate_size)
    events.emit(
        "started",
        device=hardware.device.type,
        precision=hardware.precision,
        threads=hardware.threads,
        instruction_set=prepared.environment["instruction_set"],
        num_parameters=state.weights.master.numel(),
        vocab_size=shape.vocab_size,
        total_steps=total_steps,
        train_rows=prepared.train_rows,
        eval_rows=prepared.held_out.num_rows if prepared.held_out else 0,
        train_samples=len(prepared.samples),
        train_tokens=int(prepared.samples.lengths.sum()),
        packed_rows=state.plan.num_rows,
        product_flops_per_s=limit,
    )
    if prepared.restored is not None:
        events.emit("resumed", from_step=state.progress.step)
        restore_random_states(prepared.restored, hardware)
    return Run(spec, model, prepared.samples, prepared.held_out, hardware, total_steps, limit, save)


def _finish(
    folder: Path, body: dict[str, Any], prepared: Prepared, state: TrainingState, events: EventLog
) -> None:
    progress = state.progress
    is_best = prepared.spec.keep is Keep.BEST and state.best is not None
    flat = state.best if is_best and state.best is not None else state.weights.master
    lineage = {
        "job_id": body.get("job_id"),
        "attempt": body.get("attempt"),
        "given": body.get("lineage"),
        "spec": prepared.spec.model_dump(mode="json"),
        "step": progress.lowest_step if is_best else progress.step,
        "environment": prepared.environment,
        "trained_tokens": progress.trained_tokens,
        "training_seconds": round(progress.elapsed_s, 3),
        "metrics": progress.last_evaluation,
    }
    write_model(
        folder / "output",
        dict(state.weights.split(flat)),
        prepared.shape,
        prepared.tokenizer,
        prepared.tokenizer_file,
        lineage,
    )
    metrics = {
        "loss": progress.last_loss,
        **progress.last_evaluation,
        "lowest_eval_loss_per_char": progress.lowest_per_char,
        "lowest_eval_step": progress.lowest_step,
        "trained_tokens": progress.trained_tokens,
        "training_seconds": round(progress.elapsed_s, 3),
    }
    events.emit("result", path="output", step=progress.step, metrics=metrics)
