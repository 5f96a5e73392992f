"""A peer of `make bench-train`: Hugging Face's Trainer or TRL's SFTTrainer on the benchmark's samples.

    python benchmarks/peers/training.py VARIANT SAMPLES.json

For each line on standard input that holds a number of seconds it trains about so long and answers with a line of JSON:
real tokens a second, padding not counted, the first step not timed.
"""

import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

warnings.simplefilter("ignore")
BATCH = 16
GROUPED = {"train_sampling_strategy": "group_by_length"}


class Clock(TrainerCallback):
    """Stops after so many seconds, the first step not counted."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.steps = 0
        self.begun = self.taken = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.perf_counter()
        if state.global_step == 1:
            self.begun = now
            return
        self.steps, self.taken = state.global_step - 1, now - self.begun
        control.should_training_stop = self.taken >= self.seconds


class Collator:
    """Pads a batch, and counts its real tokens."""

    def __init__(self, pad_to: int | None) -> None:
        self.pad_to = pad_to
        self.tokens: list[int] = []

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        lengths = [len(row["input_ids"]) for row in rows]
        self.tokens.append(sum(lengths))
        width = self.pad_to or max(lengths)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        labels = torch.full((len(rows), width), -100)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for index, row in enumerate(rows):
            ids[index, : lengths[index]] = labels[index, : lengths[index]] = torch.tensor(row["input_ids"])
            mask[index, : lengths[index]] = 1
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def make_model(shape: dict[str, int]) -> LlamaForCausalLM:
    """The benchmark's model from scratch."""
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**shape, tie_word_embeddings=True))


def run_trainer(variant: str, model: LlamaForCausalLM, rows: Dataset, longest: int, seconds: float) -> float:
    """Tokens a second of the plain Trainer."""
    collator = Collator(longest if variant == "padded" else None)
    settings: dict[str, Any] = {} if variant == "padded" else {"bf16": True, **GROUPED}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            max_steps=10_000,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            **settings,
        )
        clock = Clock(seconds)
        Trainer(model, arguments, train_dataset=rows, data_collator=collator, callbacks=[clock]).train()
    return sum(collator.tokens[1 : 1 + clock.steps]) / clock.taken


def run_trl(variant: str, model: LlamaForCausalLM, rows: Dataset, longest: int, seconds: float) -> float:
    """Tokens a second of TRL: its best on a processor groups by length; packed, one row pays for all pairs."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    collator = Collator(None)
    packing = {"packing": True, "packing_strategy": "wrapped"} if variant == "trl_wrapped" else GROUPED
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0, "<end>": 1})), pad_token="<pad>", eos_token="<end>"
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = SFTConfig(
            folder,
            per_device_train_batch_size=BATCH if variant != "trl_wrapped" else 4,
            max_steps=10_000,
            max_length=longest,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
            bf16=True,
            **packing,
        )
        clock = Clock(seconds)
        trainer = SFTTrainer(
            model,
            settings,
            train_dataset=rows,
            processing_class=tokenizer,
            data_collator=collator,
            callbacks=[clock],
        )
        trainer.train()
    return sum(collator.tokens[1 : 1 + clock.steps]) / clock.taken


def main() -> None:
    """Answer each line."""
    variant, path = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # the trainers print their own summaries
    body = json.loads(Path(path).read_text())
    torch.set_num_threads(body["threads"])
    rows = Dataset.from_list([{"input_ids": ids} for ids in body["samples"]])
    model = make_model(body["shape"])
    run = run_trl if variant.startswith("trl") else run_trainer
    for line in sys.stdin:
        value = run(variant, model, rows, body["longest"], float(line))
        print(json.dumps({"tokens_per_s": value}), file=answers, flush=True)


if __name__ == "__main__":
    main()
