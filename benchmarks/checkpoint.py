"""make bench-checkpoint: how fast a checkpoint is written, and what a training step pays for it.

    python benchmarks/checkpoint.py [--seconds N]

The checkpoint is that of a 34M model: weights and Adam's moments, 409 MB. Baselines in the same run: the same bytes
written raw into files of the same sizes (and made durable alike), and a copy of the same tensors in memory.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measuring import report, run_rounds

from simorgh_shared.schemas.training import PRESETS, TrainSpec
from simorgh_trainer.training.checkpoint import Constants, Progress, TrainingState
from simorgh_trainer.training.evaluate import labelled_logits
from simorgh_trainer.training.kernels import cross_entropy
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.optim import FlatWeights, make_optimizer
from simorgh_trainer.training.packing import Batch, EpochPlan, Samples, build_batch
from simorgh_trainer.training.saving import CheckpointSaver

PRESET = PRESETS["simorgh-34m"]
DEFAULT_INTERVAL = int(TrainSpec.model_fields["save_steps"].default)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=80)
    parser.add_argument("--folder", type=Path, help="The disk to measure (default: the system's temporary folder).")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="simorgh-bench-", dir=arguments.folder) as name:
        measure(Path(name), arguments.seconds)


def measure(folder: Path, seconds: float) -> None:
    """Interleave ours with the raw write and the copy."""
    model, state = make_state()
    (folder / "tokenizer.json").write_text("{}")
    saver = CheckpointSaver(
        folder / "checkpoints", state, Constants({}, {}, 1, {}, folder / "tokenizer.json"), lambda *_: None
    )
    num_bytes = 3 * 4 * state.weights.master.numel()
    master = state.weights.master
    sources = [master, torch.full_like(master, 0.5), torch.full_like(master, 0.25)]
    buffers = [torch.full_like(master, 0.0) for _ in sources]
    stalls: list[float] = []

    def ours() -> float:
        state.progress.step += 1
        begun = time.perf_counter()
        saver.save("interval")
        copied = time.perf_counter()
        stalls.append(copied - begun)
        saver.finish()
        taken = time.perf_counter() - copied  # the copy is the stall, and measured by itself
        shutil.rmtree(folder / "checkpoints")
        return num_bytes / taken / 1e6

    batch = make_batch()

    def step() -> float:
        begun = time.perf_counter()
        logits_NV, labels_N = labelled_logits(model, batch)
        (cross_entropy(logits_NV, labels_N) / batch.num_labels).backward()
        state.optimizer.step()
        state.weights.publish()
        return 1_000 * (time.perf_counter() - begun)

    variants: dict[str, Callable[[], float]] = {
        "simorgh save": ours,
        "raw write": lambda: raw_write(folder / "raw", sources, num_bytes),
        "stall of a step": lambda: 1_000 * stalls[-1] if stalls else 1_000 * stall_of(ours, stalls),
        "copy in memory": lambda: copy(sources, buffers),
        "training step": step,
    }
    for warm in variants.values():
        warm()
    rounds = run_rounds(variants, seconds)
    ratios = {
        "save_vs_raw_write": rounds.ratio("simorgh save", "raw write"),
        "stall_vs_copy": rounds.ratio("stall of a step", "copy in memory"),
        "stall_share_at_default_interval": rounds.ratio("stall of a step", "training step") / DEFAULT_INTERVAL,
    }
    goals = {
        "save_vs_raw_write": (">=", 0.9),
        "stall_vs_copy": ("<=", 2.0),
        "stall_share_at_default_interval": ("<=", 0.03),
    }
    report("checkpoint", "MB/s (saves and writes), ms (stall, copy, step)", rounds, ratios, goals, {"bytes": num_bytes})


def stall_of(ours: Callable[[], float], stalls: list[float]) -> float:
    """The stall of a save that is made for it."""
    ours()
    return stalls[-1]


def make_batch() -> Batch:
    """A step's rows at default settings: 4 of 256 tokens, in one sample each."""
    ids = np.random.default_rng(0).integers(0, PRESET.vocab_size, 1_024).astype(np.int32)
    samples = Samples.join(np.split(ids, 4), np.split(ids, 4))
    return build_batch(samples, [np.array([row]) for row in range(4)], torch.float32, torch.device("cpu"))


def make_state() -> tuple[Llama, TrainingState]:
    """A 34M run after its first step, in float32: that is the same checkpoint as in bfloat16."""
    model = Llama(ModelShape.from_preset(PRESET, PRESET.vocab_size, 512))
    model.initialise(1)
    weights = FlatWeights(model, torch.float32)
    optimizer = make_optimizer(weights, TrainSpec())
    optimizer.step()
    plan = EpochPlan(torch.arange(100_000).numpy(), torch.arange(0, 100_001, 10).numpy())
    return model, TrainingState(weights, optimizer, Progress(step=1), plan, None)


def raw_write(folder: Path, sources: list[torch.Tensor], num_bytes: int) -> float:
    """The tensors' bytes into two files as a checkpoint has them, made durable; MB/s."""
    folder.mkdir()
    begun = time.perf_counter()
    for name, tensors in (("weights", sources[:1]), ("optimizer", sources[1:])):
        with (folder / name).open("wb", buffering=0) as file:
            for tensor in tensors:
                data = memoryview(tensor.numpy()).cast("B")
                while data:
                    data = data[file.write(data) :]
            os.fsync(file.fileno())
    taken = time.perf_counter() - begun
    shutil.rmtree(folder)
    return num_bytes / taken / 1e6


def copy(sources: list[torch.Tensor], buffers: list[torch.Tensor]) -> float:
    """The same tensors into memory that is there already; ms."""
    begun = time.perf_counter()
    for source, buffer in zip(sources, buffers, strict=True):
        buffer.copy_(source)
    return 1_000 * (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
