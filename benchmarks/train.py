"""make bench-train: real tokens a second beside Hugging Face's Trainer and TRL, from scratch on the same samples.

    python benchmarks/train.py --peers PYTHON [--seconds N]

The model has 13.8 million parameters (preset simorgh-14m); lengths are log-normal around 43 tokens, at most 256. Ours
is the product's loop: packed rows, block-diagonal attention, bf16, fused AdamW, without evaluation and checkpoints.
Each variant lives in a process of its own, imported and warm before the first round. PYTHON has the peers installed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from measuring import quiet_torch, report, run_rounds

from simorgh_shared.schemas.training import PRESETS

HERE = Path(__file__).parent
PRESET = PRESETS["simorgh-14m"]
LONGEST = 256
NUM_SAMPLES = 4_000
PEERS = ("padded", "trainer_grouped_bf16", "trl_grouped_bf16", "trl_wrapped_bf16")
OURS = ("simorgh", "simorgh_rows_of_128", "simorgh_lora")
TURN_S = 2.5


class Variant:
    """A process that trains for a while each time it is asked."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=quiet_torch(os.environ),
        )

    def run(self, seconds: float) -> float:
        """Tokens a second."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return float(json.loads(line)["tokens_per_s"])

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, metavar="PYTHON")
    parser.add_argument("--seconds", type=float, default=90)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="simorgh-bench-") as name:
        samples = Path(name) / "samples.json"
        samples.write_text(json.dumps(body()))
        variants = {
            peer: Variant([arguments.peers, str(HERE / "peers/training.py"), peer, str(samples)]) for peer in PEERS
        }
        variants |= {ours: Variant([sys.executable, str(HERE / "train_ours.py"), ours, str(samples)]) for ours in OURS}
        variants["matrix_product"] = Variant([sys.executable, str(HERE / "train_ours.py"), "limit", str(samples)])
        try:
            measure(variants, arguments.seconds)
        finally:
            for variant in variants.values():
                variant.close()


def measure(variants: dict[str, Variant], seconds: float) -> None:
    """Interleave all, after a turn of each that is not counted."""
    for variant in variants.values():
        variant.run(0.5)

    def turn(variant: Variant) -> Callable[[], float]:
        return lambda: variant.run(TURN_S)

    rounds = run_rounds({name: turn(variant) for name, variant in variants.items()}, seconds)
    best_trl = max(("trl_grouped_bf16", "trl_wrapped_bf16"), key=rounds.median)
    best = max(("simorgh", "simorgh_rows_of_128"), key=rounds.median)
    ratios = {
        "vs_padded": rounds.ratio(best, "padded"),
        "vs_best_trainer": rounds.ratio(best, "trainer_grouped_bf16"),
        "vs_best_trl": rounds.ratio(best, best_trl),
        "vs_matrix_product": rounds.ratio(best, "matrix_product"),
        "lora_vs_best_trainer": rounds.ratio("simorgh_lora", "trainer_grouped_bf16"),
    }
    goals = {
        "vs_padded": (">=", 12.0),
        "vs_best_trainer": (">=", 1.3),
        "vs_best_trl": (">=", 2.4),
        "vs_matrix_product": (">=", 0.5),
        "lora_vs_best_trainer": (">=", 1.15),
    }
    notes = {"ours": best, "best_trl": best_trl, "matrix_product": "tokens/s if every operation were one large product"}
    report("train", "real tokens/s", rounds, ratios, goals, notes)


def body() -> dict[str, object]:
    """Samples and shape, the same for all."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(np.log(43), 0.6, NUM_SAMPLES).round().astype(int), 4, LONGEST)
    return {
        "samples": [random.integers(2, PRESET.vocab_size, length).tolist() for length in lengths],
        "longest": LONGEST,
        "threads": len(os.sched_getaffinity(0)),
        "shape": {
            "hidden_size": PRESET.hidden_size,
            "num_hidden_layers": PRESET.num_layers,
            "num_attention_heads": PRESET.num_heads,
            "num_key_value_heads": PRESET.num_kv_heads,
            "intermediate_size": PRESET.intermediate_size,
            "vocab_size": PRESET.vocab_size,
            "max_position_embeddings": 512,
        },
    }


if __name__ == "__main__":
    main()
