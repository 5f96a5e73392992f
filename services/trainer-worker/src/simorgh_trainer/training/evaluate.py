"""Held-out loss of a model: per token, and per character of the text.

Per character it divides the summed nats by the characters of the held-out text, each segment counted with one end
symbol (the method says which segments count: all in pretraining, the answers in fine-tuning). It is comparable
between tokenizers, and with a character model that scores the same characters. A BPE model is scored on one
spelling of the text, so the true figure is no higher.

Shapes: N labelled tokens, C hidden size, V vocabulary.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.kernels import cross_entropy
from simorgh_trainer.training.model import Llama
from simorgh_trainer.training.packing import Batch, Samples, build_batch, plan_epoch

_TOKENS_AT_ONCE = 4_096


@dataclass(frozen=True)
class HeldOut:
    """What is scored, packed once for the whole run."""

    samples: Samples
    num_characters: int
    num_rows: int


def num_characters(learnt_texts: Iterable[str]) -> int:
    """The divisor of a loss per character: the texts' characters, and one end symbol for each."""
    return sum(len(text) + 1 for text in learnt_texts)


def labelled_logits(model: Llama, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits (N, V) and labels (N) of the positions that predict something."""
    hidden_BTC = model(batch.ids_BT, batch.positions_BT, batch.mask)
    hidden_NC = hidden_BTC.reshape(-1, hidden_BTC.shape[-1]).index_select(0, batch.places_N)
    return model.logits(hidden_NC), batch.labels_BT.reshape(-1).index_select(0, batch.places_N)


@torch.no_grad()
def evaluate(model: Llama, held_out: HeldOut, row_tokens: int, hardware: Hardware) -> dict[str, float]:
    """Held-out figures of the metrics event; leaves the model training."""
    model.eval()
    nats, hits, tokens = 0.0, 0, 0
    for batch in _batches(held_out.samples, row_tokens, hardware):
        logits_NV, labels_N = labelled_logits(model, batch)
        nats += float(cross_entropy(logits_NV, labels_N))
        hits += int((logits_NV.argmax(-1) == labels_N).sum())
        tokens += batch.num_labels
    model.train()
    return {
        "eval_loss": nats / tokens,
        "eval_loss_per_char": nats / held_out.num_characters,
        "perplexity": math.exp(min(700.0, nats / tokens)),  # beyond that a float has no room
        "token_accuracy": hits / tokens,
    }


def _batches(samples: Samples, row_tokens: int, hardware: Hardware) -> Iterator[Batch]:
    plan = plan_epoch(samples.lengths, row_tokens, seed=0, epoch=0)
    rows_at_once = max(1, _TOKENS_AT_ONCE // row_tokens)
    for first in range(0, plan.num_rows, rows_at_once):
        rows = [plan.row(i) for i in range(first, min(first + rows_at_once, plan.num_rows))]
        yield build_batch(samples, rows, hardware.dtype, hardware.device)
