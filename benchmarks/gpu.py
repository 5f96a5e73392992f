"""make bench-gpu: training and serving on a GPU, beside Hugging Face's Trainer and `generate` in the same run.

    python benchmarks/gpu.py [--seconds N] [--only train,serve,checkpoint] [--profile FOLDER]

Training: Llamas of 34M parameters (preset simorgh-34m) and of 135M (the shape of SmolLM2) from random weights, samples
with log-normal lengths around 43 tokens, at most 256,
in bf16; the loop is the product's, without evaluation and checkpoints. `recorded` is what the product does, `plain` the
same loop with its passes asked for kernel by kernel. The Trainer (fused AdamW, bf16) gets the same samples, padded and
grouped by length, or packed into full rows whose samples see each other, which is the most that it can be given.
Serving: the same size of random weights, prompts of 25 tokens, 64 greedy tokens; the engine in this process without its
HTTP front, and transformers' `generate` with the same prompts as one batch. Everything in this process, one after the
other, in rounds.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_serving import SHAPE, serve
from measuring import report, run_rounds
from train_ours import Trained

from simorgh_shared.schemas.training import PRESETS, TrainSpec
from simorgh_trainer.training import loop
from simorgh_trainer.training.checkpoint import Constants, Progress, TrainingState
from simorgh_trainer.training.hardware import Hardware, choose_hardware, product_limit
from simorgh_trainer.training.loop import flop_count
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.optim import FlatWeights, make_optimizer
from simorgh_trainer.training.packing import Samples, build_batch, plan_epoch
from simorgh_trainer.training.saving import CheckpointSaver

PRESET = PRESETS["simorgh-34m"]
LONGEST = 256
NUM_SAMPLES = 60_000
SMOLLM2 = {
    "hidden_size": 576,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "intermediate_size": 1536,
    "vocab_size": 49_152,
    "max_position_embeddings": 512,
}
CASES = {"34m-4-rows": (SHAPE, 4), "34m-64-rows": (SHAPE, 64), "135m-32-rows": (SMOLLM2, 32)}
TURN_S = 2.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for each of the parts")
    parser.add_argument("--only", default="train,checkpoint,serve")
    parser.add_argument("--cases", default=",".join(CASES), help="of the training")
    parser.add_argument("--profile", type=Path, help="write a table of the kernels of a step here")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here that torch can use.")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, Python {sys.version.split()[0]}", flush=True)
    parts = {"train": partial(train, arguments.cases.split(",")), "checkpoint": checkpoint, "serve": serve}
    for name in arguments.only.split(","):
        with tempfile.TemporaryDirectory(prefix="simorgh-bench-") as folder:
            parts[name](Path(folder), arguments.seconds, arguments.profile)


def make_samples() -> list[np.ndarray]:
    """Random tokens with the lengths of questions and answers."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(np.log(43), 0.6, NUM_SAMPLES).round().astype(int), 4, LONGEST)
    return [random.integers(2, PRESET.vocab_size, length).astype(np.int32) for length in lengths]


class Ours(Trained):
    """The product's loop, taken further each time."""

    def __init__(
        self,
        shape: Mapping[str, int],
        rows: int,
        samples: Samples,
        folder: Path,
        *,
        is_recorded: bool,
        lora: bool = False,
    ) -> None:
        fields: dict[str, Any] = {
            "model": "a-base" if lora else "simorgh-34m",
            "method": "lora" if lora else "pretrain",
        }
        fields |= {"batch_size": rows, "epochs": 10_000, "logging_steps": 10**6, "save_steps": 10**8, "device": "gpu"}
        self.spec = TrainSpec.model_validate(fields)
        self.hardware: Hardware = choose_hardware(self.spec)
        self.samples, self.is_recorded = samples, is_recorded
        self.model = Llama(ModelShape(*shape.values()))
        self.model.initialise(0)
        if lora:
            from simorgh_trainer.training.lora import adapt

            adapt(self.model, self.spec)
        self.model.to(self.hardware.device)
        self.model.rope_cos = self.model.rope_cos.to(self.hardware.dtype)
        self.model.rope_sin = self.model.rope_sin.to(self.hardware.dtype)
        weights = FlatWeights(self.model, self.hardware.dtype)
        plan = plan_epoch(samples.lengths, self.spec.sequence_length, self.spec.seed, 0)
        self.state = TrainingState(weights, make_optimizer(weights, self.spec), Progress(), plan, None)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text("{}")
        saver = CheckpointSaver(
            folder / "checkpoints", self.state, Constants({}, {}, 1, {}, folder / "tokenizer.json"), lambda *_: None
        )
        self.run = loop.Run(self.spec, self.model, samples, None, self.hardware, 10**8, 1e12, saver)
        self.events = loop.EventLog(folder / "events.jsonl")
        self._passes = None

    def tokens_per_s(self, seconds: float) -> float:
        """With the passes of this variant, which are kept from turn to turn."""
        torch.use_deterministic_algorithms(True)
        made, is_recorded = loop.make_passes, self.is_recorded

        def make_passes(model: Llama, weights: FlatWeights, *, is_replayed: bool) -> Any:
            self._passes = self._passes or made(model, weights, is_replayed=is_replayed and is_recorded)
            return self._passes

        loop.make_passes = make_passes
        try:
            return super().tokens_per_s(seconds)
        finally:
            loop.make_passes = made

    def flops_a_token(self) -> float:
        """Of the model, forward and backward."""
        rows = [self.state.plan.row(index) for index in range(64)]
        batch = build_batch(self.samples, rows, self.hardware.dtype, self.hardware.device)
        return flop_count(self.model)(batch) / batch.num_tokens


class HuggingFace:
    """The Trainer on the same samples."""

    def __init__(
        self, shape: Mapping[str, int], rows: int, samples: list[np.ndarray], folder: Path, *, is_packed: bool
    ) -> None:
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        self.model = LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True))
        self.folder, self.is_packed = folder, is_packed
        if is_packed:
            whole = np.concatenate(samples)
            self.rows = [{"input_ids": row} for row in whole[: len(whole) // LONGEST * LONGEST].reshape(-1, LONGEST)]
            self.batch = rows
        else:
            self.rows = [{"input_ids": one} for one in samples]
            self.batch = rows * 5  # as many real tokens a step as our rows hold

    def tokens_per_s(self, seconds: float) -> float:
        """Train so long; the first steps are not counted."""
        from transformers import Trainer, TrainerCallback, TrainingArguments

        torch.use_deterministic_algorithms(False)
        counted: list[int] = []
        took = {"begun": 0.0, "steps": 0, "seconds": 0.0}

        def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
            lengths = [len(row["input_ids"]) for row in rows]
            counted.append(sum(lengths))
            ids = torch.zeros(len(rows), max(lengths), dtype=torch.long)
            labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
            for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
                ids[index, :length] = labels[index, :length] = torch.from_numpy(row["input_ids"].astype(np.int64))
                mask[index, :length] = 1
            return {"input_ids": ids, "labels": labels} | ({} if self.is_packed else {"attention_mask": mask})

        class Clock(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step == 3:
                    torch.cuda.synchronize()
                    took["begun"] = time.perf_counter()
                if state.global_step >= 3 and time.perf_counter() - took["begun"] >= seconds:
                    torch.cuda.synchronize()
                    took["seconds"], took["steps"] = time.perf_counter() - took["begun"], state.global_step - 3
                    control.should_training_stop = True

        grouped = {} if self.is_packed else {"train_sampling_strategy": "group_by_length"}
        arguments = TrainingArguments(
            str(self.folder), per_device_train_batch_size=self.batch, max_steps=10**6, report_to=[], bf16=True,
            save_strategy="no", logging_strategy="no", disable_tqdm=True, optim="adamw_torch_fused", **grouped,
        )  # fmt: skip
        Trainer(self.model, arguments, train_dataset=self.rows, data_collator=collate, callbacks=[Clock()]).train()
        return sum(counted[3 : 3 + int(took["steps"])]) / took["seconds"]


def train(cases: Sequence[str], folder: Path, seconds: float, profile: Path | None) -> None:
    """Tokens a second at two sizes of a step."""
    pieces = make_samples()
    samples = Samples.join(pieces, pieces)
    for case in cases:
        shape, rows = CASES[case]
        ours = {
            "recorded": Ours(shape, rows, samples, folder / "recorded", is_recorded=True),
            "plain": Ours(shape, rows, samples, folder / "plain", is_recorded=False),
            "recorded lora": Ours(shape, rows, samples, folder / "lora", is_recorded=True, lora=True),
        }
        theirs = {"trainer packed": HuggingFace(shape, rows, pieces, folder / "packed", is_packed=True)}
        if shape is SHAPE:  # of 135M its padded logits do not fit beside the rest in 80 GB
            theirs["trainer grouped"] = HuggingFace(shape, rows, pieces, folder / "grouped", is_packed=False)
        variants: dict[str, Callable[[], float]] = {}
        peaks: dict[str, float] = {}
        for name, variant in (ours | theirs).items():
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            variant.tokens_per_s(0.5)
            peaks[name] = round((torch.cuda.max_memory_allocated() - before) / 1e6)
            variants[name] = lambda variant=variant: variant.tokens_per_s(TURN_S)
        limit = product_limit(ours["recorded"].hardware, 1, 1, 1)
        rounds = run_rounds(variants, seconds / len(cases))
        a_token = ours["recorded"].flops_a_token()
        ratios = {
            "recorded_vs_plain": rounds.ratio("recorded", "plain"),
            **{f"vs_{name.replace(' ', '_')}": rounds.ratio("recorded", name) for name in theirs},
            "lora_vs_trainer_packed": rounds.ratio("recorded lora", "trainer packed"),
            "utilisation_of_products": rounds.median("recorded") * a_token / limit,
            "trainer_packed_utilisation": rounds.median("trainer packed") * a_token / limit,
        }
        notes = {"rows": rows, "product_tflops": round(limit / 1e12), "peak_mb_beside_weights": peaks}
        report(f"gpu-train-{case}", "real tokens/s", rounds, ratios, {}, notes)
        if profile is not None:
            profile_step(ours["recorded"], profile / f"{case}-recorded.txt")
            profile_step(ours["plain"], profile / f"{case}-plain.txt")
        del ours, theirs, variants, variant
        gc.collect()  # the Trainer and its model know each other
        torch.cuda.empty_cache()


def profile_step(ours: Ours, path: Path) -> None:
    """Where the time of steps goes."""
    from torch.profiler import ProfilerActivity, profile

    path.parent.mkdir(parents=True, exist_ok=True)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        ours.tokens_per_s(0.2)
    by_kernel = found.key_averages().table(sort_by="self_cuda_time_total", row_limit=28, max_name_column_width=70)
    by_call = found.key_averages().table(sort_by="self_cpu_time_total", row_limit=14, max_name_column_width=70)
    path.write_text(f"{by_kernel}\n{by_call}\n")


def checkpoint(folder: Path, seconds: float, _: Path | None) -> None:
    """What a step waits for a checkpoint of 34M."""
    pieces = make_samples()[:2_000]
    ours = Ours(SHAPE, 4, Samples.join(pieces, pieces), folder / "run", is_recorded=True)
    ours.tokens_per_s(0.2)
    saver, num_bytes = ours.run.saver, 12 * ours.state.weights.master.numel()
    stalls, writes = [], []
    until = time.perf_counter() + min(seconds, 15)
    while time.perf_counter() < until or len(stalls) < 3:
        ours.state.progress.step += 1
        torch.cuda.synchronize()
        begun = time.perf_counter()
        saver.save("interval")
        stalls.append(time.perf_counter() - begun)
        saver.finish()
        writes.append(time.perf_counter() - begun)
    told = {"bytes": num_bytes, "stall_ms": round(1e3 * float(np.median(stalls)), 1)}
    print(json.dumps({"bench": "gpu-checkpoint"} | told | {"written_ms": round(1e3 * float(np.median(writes)), 1)}))


if __name__ == "__main__":
    main()
