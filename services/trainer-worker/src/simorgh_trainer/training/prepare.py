"""What a run needs before its first step: rows, tokenizer, shape, samples, and the checkpoint to go on from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.persian.normaliser import DEFAULT_OPTIONS, normalise
from simorgh_shared.schemas.training import PRESETS, Keep, Method, TrainSpec
from simorgh_trainer.training.checkpoint import Restored, open_checkpoint
from simorgh_trainer.training.data import DatasetInput, Row, hold_out, read_rows
from simorgh_trainer.training.evaluate import HeldOut, num_characters
from simorgh_trainer.training.formats.markers import Markers
from simorgh_trainer.training.formats.row_format import RowFormat
from simorgh_trainer.training.hardware import Hardware, instruction_set
from simorgh_trainer.training.leakage import check_leakage
from simorgh_trainer.training.methods import pretrain, sft
from simorgh_trainer.training.model import ModelShape
from simorgh_trainer.training.model_folder import FoundModel, file_hash, read_model
from simorgh_trainer.training.packing import Samples
from simorgh_trainer.training.tokenizer import load_tokenizer, train_tokenizer
from simorgh_trainer.training.yardsticks import Prompt, choose_prompts, trigram_per_char

CONTEXT_TOKENS = 512
"""Positions that a fresh model takes at least: a chat may run longer than a training row."""
_METHODS = {Method.PRETRAIN: pretrain, Method.SFT: sft, Method.LORA: sft}
_LIBRARIES = ("torch", "tokenizers", "safetensors", "numpy", "transformers")


@dataclass(frozen=True)
class Start:
    """Where the model comes from: a checkpoint, a model folder, both (adapters), or nothing but a shape."""

    tokenizer: Tokenizer
    tokenizer_file: Path
    row_format: RowFormat
    shape: ModelShape
    base: FoundModel | None = None
    """The model that is trained further; None for fresh ones, and for a checkpoint of one that was fresh."""
    restored: Restored | None = None


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first step."""

    spec: TrainSpec
    hardware: Hardware
    start: Start
    samples: Samples
    held_out: HeldOut | None
    num_train_rows: int
    prompts: Sequence[Prompt]
    """Held-out rows whose answers the report shows."""
    trigram_per_char: float | None
    """Held-out nats a character of a character trigram of the train rows: what a language model has to better."""
    environment: Mapping[str, Any]
    """What equality of two runs rests on."""


def prepare(folder: Path, inputs: Mapping[str, Any], spec: TrainSpec, hardware: Hardware, events: EventLog) -> Prepared:
    """Read the rows, find or train the tokenizer, encode; paths of `inputs` are relative to the work folder.

    Raises: InvalidInputError.
    """
    dataset = DatasetInput.from_run(inputs["dataset"], folder)
    train_rows, eval_rows = _read(dataset, spec)
    check_leakage(dataset, spec.on_leakage, events)
    start = _start(folder, inputs, spec, train_rows)
    method = _METHODS[spec.method]
    held_out = None
    if eval_rows:
        eval_samples = method.encode_rows(eval_rows, start.row_format, spec.sequence_length)
        held_out = HeldOut(eval_samples, num_characters(method.learnt_texts(eval_rows)), len(eval_rows))
    elif spec.keep is Keep.BEST or spec.early_stopping_patience is not None:
        raise InvalidInputError("no_held_out")
    else:
        events.warn("No rows are held out, so this run reports no held-out loss.")
    environment = {
        "threads": hardware.threads,
        "instruction_set": instruction_set(hardware),
        "precision": hardware.precision,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "dataset": dataset.fingerprint(),
        "normaliser": DEFAULT_OPTIONS.fingerprint() if spec.normalise else None,
        "tokenizer": file_hash(start.tokenizer_file),
    }
    samples = method.encode_rows(train_rows, start.row_format, spec.sequence_length)
    return Prepared(
        spec=spec,
        hardware=hardware,
        start=start,
        samples=samples,
        held_out=held_out,
        num_train_rows=len(train_rows),
        prompts=choose_prompts(eval_rows) if spec.method in (Method.SFT, Method.LORA) else [],
        trigram_per_char=trigram_per_char(method.learnt_texts(train_rows), method.learnt_texts(eval_rows)),
        environment=environment,
    )


def _read(dataset: DatasetInput, spec: TrainSpec) -> tuple[list[Row], list[Row]]:
    clean = normalise if spec.normalise else str
    train_rows = read_rows(dataset.train, dataset.row_schema, dataset.columns, clean)
    if dataset.test:
        eval_rows = read_rows(dataset.test, dataset.row_schema, dataset.columns, clean)
    else:
        train_rows, eval_rows = hold_out(train_rows, spec.eval_fraction, spec.seed)
    if not train_rows:
        raise InvalidInputError("no_rows", method=spec.method.value)
    return train_rows, eval_rows


def _start(folder: Path, inputs: Mapping[str, Any], spec: TrainSpec, train_rows: list[Row]) -> Start:
    base = None
    if inputs.get("base_model"):
        if spec.vocab_size is not None:
            reason = f"{spec.model} brings its own tokenizer, leave it out"
            raise InvalidInputError("invalid_parameter", name="vocab_size", value=spec.vocab_size, reason=reason)
        base = read_model(folder / inputs["base_model"], spec.sequence_length)
    if inputs.get("checkpoint"):
        return _from_checkpoint(open_checkpoint(folder / inputs["checkpoint"]), spec, base)
    if base is not None:
        return Start(base.tokenizer, base.tokenizer_file, base.row_format, base.shape, base)
    if spec.preset is None:
        raise InvalidInputError("unknown_preset", model=spec.model, known=", ".join(PRESETS))
    path = folder / "tokenizer.json"
    vocab_size = spec.vocab_size or spec.preset.vocab_size
    tokenizer = train_tokenizer((text for row in train_rows for _, text in row), vocab_size)
    tokenizer.save(str(path))
    context = max(CONTEXT_TOKENS, spec.sequence_length)
    shape = ModelShape.from_preset(spec.preset, tokenizer.get_vocab_size(), context)
    return Start(tokenizer, path, Markers(tokenizer), shape)


def _from_checkpoint(restored: Restored, spec: TrainSpec, base: FoundModel | None) -> Start:
    if restored.spec["model"] != spec.model:
        raise InvalidInputError("checkpoint_mismatch", theirs=restored.spec["model"], ours=spec.model)
    theirs, ours = _learnt_weights(restored.spec), _learnt_weights(spec.model_dump(mode="json"))
    if theirs != ours:
        raise InvalidInputError("checkpoint_mismatch", theirs=theirs, ours=ours)
    shape = ModelShape(**restored.shape)
    if spec.sequence_length > shape.max_positions:
        reason = f"the checkpoint's model takes {shape.max_positions} positions"
        raise InvalidInputError("invalid_parameter", name="sequence_length", value=spec.sequence_length, reason=reason)
    if base is not None:
        return Start(base.tokenizer, base.tokenizer_file, base.row_format, shape, base, restored)
    path = restored.folder / "tokenizer.json"
    tokenizer = load_tokenizer(path)
    return Start(tokenizer, path, Markers(tokenizer), shape, restored=restored)


def _learnt_weights(spec: Mapping[str, Any]) -> str:
    """Which weights a run of this spec learns, in words."""
    if spec["method"] != Method.LORA:
        return "all weights"
    return f"an adapter of rank {spec['lora_rank']} on {', '.join(sorted(spec['lora_targets']))}"
