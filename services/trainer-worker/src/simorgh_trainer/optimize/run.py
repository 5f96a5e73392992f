"""One attempt of an optimisation: measures the model, makes its other form, measures that, and compares them."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from simorgh_shared import allowance
from simorgh_shared.child.control import ControlFile
from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders.folder import judge
from simorgh_shared.schemas.optimization import (
    AgreementView,
    HeldOutView,
    MeasuredView,
    OptimizationReport,
)
from simorgh_shared.spawning import PARENT_PID
from simorgh_trainer.optimize.apart import apart
from simorgh_trainer.optimize.gate import judge_gate
from simorgh_trainer.optimize.held_out import HeldOutData, read_held_out, read_learnt
from simorgh_trainer.optimize.measuring import measure
from simorgh_trainer.training.data import DatasetInput
from simorgh_trainer.training.packing import Samples

_ANSWERS_WITHIN_S = 240.0
_CHECK_WITHIN_S = 3_600.0
_WEIGHTS = (".safetensors", ".gguf", ".onnx", ".data", ".bin")
_SETTINGS = ("precision", "sparsity", "head_sparsity", "recovery")
_GGUF_MISSING = "no engine here runs GGUF: transformers loads it as float32, whose speed and memory are not its own"
_Make = Callable[[Path, Path, Mapping[str, Any], list[int], int], dict[str, Any]]


@dataclass(frozen=True)
class Made:
    """What a method makes."""

    kind: str
    runtime: str


class LeftError(Exception):
    """It was asked to leave: there is nothing to save, the next attempt begins anew."""


def run_optimization(folder: Path, events: EventLog) -> None:
    """Do what `run.json` says, into `output/`, unless asked to leave before. A check leaves that empty.

    Raises: InvalidInputError for a model that the method cannot be used on.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        report = _optimize(folder, events)
    except LeftError as left:
        events.emit("left", reason=str(left))
        return
    output, told = folder / "output", report.model_dump(mode="json")
    if not output.exists():
        output.mkdir()
        events.emit("result", path="output", report=told)
        return
    made, verdict = made_by(report.method, report.settings), judge(output, sorted(one.name for one in output.iterdir()))
    events.emit(
        "result",
        path="output",
        model={"kind": made.kind, "format": verdict.format, "traits": verdict.traits | {"architecture": "llama"}},
        num_parameters=verdict.num_parameters,
        report=told,
        metrics={
            "perplexity": report.after.perplexity,
            "bytes": report.after.bytes,
            **{name: told[name] for name in ("gate", "before", "after", "agreement")},
        },
    )


def _optimize(folder: Path, events: EventLog) -> OptimizationReport:
    """Measure, make, measure; where a report is checked, what was made then is measured.

    Raises: LeftError between these where that is asked.
    """
    run = json.loads((folder / "run.json").read_bytes())
    spec, source, output = run["spec"], folder / "inputs" / "model", folder / "output"
    threads = allowance.cores()
    dataset = DatasetInput.from_run(run["inputs"]["dataset"], folder)
    held_out = read_held_out(source, dataset, run["inputs"]["training"], spec)
    if not held_out.prompts:
        raise InvalidInputError("optimization_unfit", reason="no held-out row asks for an answer")
    ids, runtime = held_out.samples[0][0], made_by(spec["method"], spec).runtime
    _load_libraries()
    _enter("measuring before", folder, events)
    before = _measured(folder, "before", source, "transformers", held_out, spec, threads)
    made, check = folder / "inputs" / "made", {}
    if not spec.get("check_of"):
        _enter("making", folder, events)
        make, made = _method(spec["method"], lambda: _learnt(folder, run, dataset)), output
        check = apart("making it", lambda: make(source, output, spec, ids, threads))
    _enter("measuring after", folder, events)
    after = _measured(folder, "after", made, runtime, held_out, spec, threads)
    return _report(run, held_out, before, after, check, threads)


def _enter(phase: str, folder: Path, events: EventLog) -> None:
    """Tell what comes now. Raises: LeftError."""
    reason = ControlFile(folder / "control.json").read().leave_reason
    if reason is not None:
        raise LeftError(reason)
    events.emit("progress", phase=phase, bytes=0, total_bytes=0)


def made_by(method: str, settings: Mapping[str, Any]) -> Made:
    """The kind of version that a method makes, and what runs it."""
    match method:
        case "merge":
            return Made("tuned", "transformers")
        case "gguf":
            return Made("quantised" if settings.get("precision") == "q8_0" else "exported", "transformers")
        case "onnx":
            return Made("exported", "onnxruntime")
        case "onnx-int8":
            return Made("quantised", "onnxruntime")
        case "openvino-int8" | "openvino-int4":
            return Made("quantised", "openvino")
        case _:
            return Made("pruned", "transformers")


def _learnt(folder: Path, run: Mapping[str, Any], dataset: DatasetInput) -> Samples:
    named = run["inputs"].get("recovery")
    other = DatasetInput.from_run(named, folder) if named is not None else None
    return read_learnt(folder / "inputs" / "model", dataset, run["inputs"]["training"], other)


def _method(name: str, read: Callable[[], Samples]) -> _Make:
    """Loaded when it is needed: each brings libraries that take seconds. `read` gives the rows to learn from."""
    match name:
        case "merge":
            from simorgh_trainer.optimize.methods import merge

            return merge.make
        case "gguf":
            from simorgh_trainer.optimize.methods import gguf

            return gguf.make
        case "onnx":
            from simorgh_trainer.optimize.methods import onnx

            return onnx.make
        case "onnx-int8":
            from simorgh_trainer.optimize.methods import onnx

            return onnx.make_int8
        case "openvino-int8":
            from simorgh_trainer.optimize.methods import openvino

            return openvino.make_int8
        case "openvino-int4":
            from simorgh_trainer.optimize.methods import openvino

            return openvino.make_int4
        case "prune-structured":
            from simorgh_trainer.optimize.methods import prune_structured

            return partial(prune_structured.make, learnt=read())
        case _:
            from simorgh_trainer.optimize.methods import prune_magnitude

            return partial(prune_magnitude.make, learnt=read())


def _load_libraries() -> None:
    """Once, for the forks: 5 s of a processor."""
    from transformers import LlamaForCausalLM

    del LlamaForCausalLM


def _measured(
    folder: Path, name: str, model: Path, runtime: str, held_out: HeldOutData, spec: Mapping[str, Any], threads: int
) -> dict[str, Any]:
    """Measure in a process of its own, whose memory is the model's and its libraries'.

    Raises: InvalidInputError where it breaks down.
    """
    request = {
        "runtime": runtime,
        "folder": str(model),
        "samples": held_out.samples,
        "prompts": held_out.prompts,
        "max_tokens": spec["max_tokens"],
        # A check answers as many as were compared then, however long that takes.
        "answers_within_s": _CHECK_WITHIN_S if spec.get("check_of") else _ANSWERS_WITHIN_S,
        "threads": threads,
    }
    if runtime == "transformers":
        found = apart(f"measuring {name}", lambda: measure(request))
    else:  # a fresh process, without torch in its memory
        found = _measured_fresh(folder / f"{name}.json", request)
    return {"bytes": _weight_bytes(model)} | found


def _measured_fresh(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    path.write_text(json.dumps(request))
    command = [sys.executable, "-m", "simorgh_trainer.optimize.measuring", str(path)]
    ended = subprocess.run(
        command, env=os.environ | {PARENT_PID: str(os.getpid())}, stderr=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise InvalidInputError("optimization_unfit", reason=f"measuring it broke down ({lines[-1][:200]})")
    found: dict[str, Any] = json.loads(path.with_suffix(".measured").read_bytes())
    return found


def _weight_bytes(model: Path) -> int:
    return sum(path.stat().st_size for path in model.rglob("*") if path.suffix in _WEIGHTS)


def _report(
    run: Mapping[str, Any],
    held_out: HeldOutData,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    check: dict[str, Any],
    threads: int,
) -> OptimizationReport:
    spec = run["spec"]
    is_gguf = spec["method"] == "gguf"
    views = _view(before), _view(after, _GGUF_MISSING if is_gguf else None)
    return OptimizationReport(
        method=spec["method"],
        settings={name: spec[name] for name in _SETTINGS if spec.get(name) is not None},
        held_out=HeldOutView(
            dataset_version_id=spec["dataset_version_id"],
            source=held_out.source,
            rows=held_out.num_rows,
            tokens=before["num_tokens"],
        ),
        before=views[0],
        after=views[1],
        agreement=agreement(before["answers"], after["answers"], held_out.end_ids),
        gate=judge_gate(spec["gate"], *views),
        check=check,
        threads=threads,
    )


def _view(measured: Mapping[str, Any], without_speed: str | None = None) -> MeasuredView:
    loss = measured["nats"] / measured["num_tokens"]
    timed = ("tokens_per_s", "first_token_ms", "peak_memory_bytes")
    figures = {name: None if without_speed else measured[name] for name in timed}
    return MeasuredView(
        runtime="transformers, from the GGUF file" if without_speed else measured["runtime"],
        bytes=measured["bytes"],
        loss=loss,
        perplexity=math.exp(min(700.0, loss)),  # beyond that a float has no room
        missing=dict.fromkeys(timed, without_speed) if without_speed else {},
        **figures,
    )


def agreement(before: Sequence[list[int]], after: Sequence[list[int]], end_ids: frozenset[int]) -> AgreementView:
    """How many answers are the same up to their end, and how far the others are."""
    equal, begun, tokens = 0, 0, 0
    pairs = list(zip(before, after, strict=False))
    for one, other in pairs:
        wanted, found = _to_end(one, end_ids), _to_end(other, end_ids)
        equal += wanted == found
        begun += next(
            (place for place, (a, b) in enumerate(zip(wanted, found, strict=False)) if a != b),
            min(len(wanted), len(found)),
        )
        tokens += max(len(wanted), len(found))
    return AgreementView(
        prompts=len(pairs), equal=equal, share=equal / len(pairs), equal_start=begun / tokens if tokens else 1.0
    )


def _to_end(ids: list[int], end_ids: frozenset[int]) -> list[int]:
    """The answer with the token that ends it."""
    return ids[: next((place + 1 for place, token in enumerate(ids) if token in end_ids), len(ids))]
