"""Our variants of `make bench-train`, in the peers' form: seconds on standard input, tokens a second as JSON.

`limit` answers with the tokens a second that the same work would take as one large matrix product, measured now.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from simorgh_shared.child.control import Control
from simorgh_shared.child.events import EventLog
from simorgh_shared.schemas.training import PRESETS, TrainSpec
from simorgh_trainer.training import lora
from simorgh_trainer.training.checkpoint import Constants, Progress, TrainingState
from simorgh_trainer.training.hardware import Hardware, choose_hardware, product_limit
from simorgh_trainer.training.loop import CancelledError, Run, flop_count, train
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.optim import FlatWeights, make_optimizer
from simorgh_trainer.training.packing import Samples, build_batch, plan_epoch
from simorgh_trainer.training.saving import CheckpointSaver

PRESET = PRESETS["simorgh-14m"]


def make_spec(variant: str) -> TrainSpec:
    """The product's defaults, rows of 128 with the same tokens a step where the variant says so."""
    fields: dict[str, object] = {
        "model": "simorgh-14m",
        "epochs": 10_000,
        "logging_steps": 10_000,
        "save_steps": 10_000_000,
    }
    if variant == "simorgh_rows_of_128":
        fields |= {"sequence_length": 128, "batch_size": 8}
    if variant == "simorgh_lora":
        fields |= {"model": "a-base", "method": "lora"}
    return TrainSpec.model_validate(fields)


class Trained:
    """A run of the product's loop that is taken further each time."""

    def __init__(self, variant: str, samples: Samples, folder: Path) -> None:
        self.spec = make_spec(variant)
        self.hardware: Hardware = choose_hardware(self.spec)
        self.model = Llama(ModelShape.from_preset(PRESET, PRESET.vocab_size, 512))
        self.model.initialise(0)
        if variant == "simorgh_lora":
            lora.adapt(self.model, self.spec)
        self.model.rope_cos = self.model.rope_cos.to(self.hardware.dtype)
        self.model.rope_sin = self.model.rope_sin.to(self.hardware.dtype)
        weights = FlatWeights(self.model, self.hardware.dtype)
        self.samples = cut(samples, self.spec.sequence_length)
        plan = plan_epoch(self.samples.lengths, self.spec.sequence_length, self.spec.seed, 0)
        self.state = TrainingState(weights, make_optimizer(weights, self.spec), Progress(), plan, None)
        constants = Constants({}, {}, 1, {}, folder / "none")
        saver = CheckpointSaver(folder, self.state, constants, lambda *_: None)
        self.run = Run(self.spec, self.model, self.samples, None, self.hardware, 10_000_000, 1e12, saver)
        self.events = EventLog(folder / "events.jsonl")

    def tokens_per_s(self, seconds: float) -> float:
        """Train so long; the first step is not counted."""
        self._until(lambda: True)
        tokens, begun = self.state.progress.trained_tokens, time.perf_counter()
        self._until(lambda: time.perf_counter() - begun >= seconds)
        return (self.state.progress.trained_tokens - tokens) / (time.perf_counter() - begun)

    def _until(self, is_over: Callable[[], bool]) -> None:
        """Steps until it is over, at least one: the loop leaves when it asks what is wanted."""
        first = self.state.progress.step

        def control() -> Control:
            is_first = self.state.progress.step == first
            return Control() if is_first or not is_over() else Control(desired_state="cancel")

        with contextlib.suppress(CancelledError):
            train(self.run, self.state, self.events, control)

    def limit(self, seconds: float) -> float:
        """Tokens a second if all operations of a step ran at the speed of a bare product."""
        del seconds
        speed = product_limit(self.hardware, 1_024, PRESET.hidden_size, PRESET.intermediate_size)
        rows = [self.state.plan.row(index) for index in range(4)]
        batch = build_batch(self.samples, rows, self.hardware.dtype, self.hardware.device)
        return speed / (flop_count(self.model)(batch) / batch.num_tokens)


def cut(samples: Samples, longest: int) -> Samples:
    """Samples no longer than a row."""
    pieces = []
    for index in range(len(samples)):
        ids = samples.inputs[samples.offsets[index] : samples.offsets[index + 1]]
        pieces += [ids[start : start + longest] for start in range(0, len(ids), longest)]
    return Samples.join(pieces, pieces)


def main() -> None:
    """Answer each line."""
    variant, path = sys.argv[1:]
    body = json.loads(Path(path).read_text())
    torch.set_num_threads(body["threads"])
    pieces = [np.array(ids, dtype=np.int32) for ids in body["samples"]]
    with tempfile.TemporaryDirectory() as name:
        trained = Trained(variant, Samples.join(pieces, pieces), Path(name))
        answer = trained.limit if variant == "limit" else trained.tokens_per_s
        for line in sys.stdin:
            print(json.dumps({"tokens_per_s": answer(float(line))}), flush=True)


if __name__ == "__main__":
    main()
