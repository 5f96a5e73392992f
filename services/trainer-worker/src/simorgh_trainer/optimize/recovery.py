"""Trains a pruned model on, for so many steps, so that it finds back some of what it has lost.

A small loop of its own: the trainer's knows its own Llama alone, whose heads share the hidden size evenly.
Shapes: B rows, T positions, N labelled tokens, C hidden size, V vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.held_out import ROW_TOKENS
from simorgh_trainer.training.hardware import cpu_has_bf16
from simorgh_trainer.training.optim import BETAS
from simorgh_trainer.training.packing import Batch, Samples, build_batch, plan_epoch

_ROWS = 4  # of a step
_WARMUP = 0.1
_FLOOR = 0.02  # of the learning rate, at the end
_MOST_NORM = 1.0
_SHOWN = 5  # steps at either end, whose loss is told


def recover(
    model: Any, samples: Samples, recovery: Mapping[str, Any], threads: int, after_step: Callable[[], None]
) -> dict[str, Any]:
    """Train all weights by AdamW; `after_step` puts back what must stay as it is.

    Raises: InvalidInputError where there is nothing to learn, or the loss is no number.
    """
    if not len(samples):
        raise InvalidInputError("optimization_unfit", reason="no row is left to recover on: all are held out")
    steps, rate = recovery["steps"], recovery["learning_rate"]
    torch.set_num_threads(threads)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=BETAS, weight_decay=0.0)
    rows, losses, num_tokens = _rows(samples), [], 0
    for step in range(steps):
        batch = build_batch(samples, [next(rows) for _ in range(_ROWS)], torch.float32, torch.device("cpu"))
        optimizer.param_groups[0]["lr"] = rate * _share(step, steps)
        loss = _loss(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _MOST_NORM)
        optimizer.step()
        optimizer.zero_grad()
        after_step()
        losses.append(float(loss.detach()))
        num_tokens += batch.num_tokens
        if not math.isfinite(losses[-1]):
            reason = f"the loss of step {step + 1} of its recovery is {losses[-1]}: lower the learning rate"
            raise InvalidInputError("optimization_unfit", reason=reason)
    model.eval()
    first, last = (float(f"{np.mean(some):.4g}") for some in (losses[:_SHOWN], losses[-_SHOWN:]))
    return {"steps": steps, "tokens": num_tokens, "first_loss": first, "last_loss": last}


def _rows(samples: Samples) -> Iterator[np.ndarray]:
    for epoch in count():
        plan = plan_epoch(samples.lengths, ROW_TOKENS, 0, epoch)
        yield from (plan.row(index) for index in range(plan.num_rows))


def _loss(model: Any, batch: Batch) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
        hidden_BTC = model.model(
            input_ids=batch.ids_BT,
            attention_mask=batch.mask,
            position_ids=batch.positions_BT,
            use_cache=False,
        ).last_hidden_state
        logits_NV = model.lm_head(hidden_BTC.reshape(-1, hidden_BTC.shape[-1])[batch.places_N])
    return functional.cross_entropy(logits_NV.float(), batch.labels_BT.reshape(-1)[batch.places_N])


def _share(step: int, steps: int) -> float:
    """Of the learning rate: up in a tenth of the steps, then down along a cosine."""
    warmup = round(_WARMUP * steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, steps - warmup)
    return _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * done)) / 2
