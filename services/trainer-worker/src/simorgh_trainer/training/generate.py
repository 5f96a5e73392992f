"""Greedy answers of the model in training, for the prompts that a report shows before and after.

Serving has an engine of its own; this one only keeps keys and values, so that five answers cost seconds.
"""

from collections.abc import Collection, Sequence

import torch

from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.model import LayerCache, Llama


@torch.no_grad()
def answer(
    model: Llama, prompt: Sequence[int], end_ids: Collection[int], max_tokens: int, hardware: Hardware
) -> list[int]:
    """The ids that the model answers with, without the one that ends it; leaves the model training.

    The prompt's end is kept where it is longer than the model's positions.
    """
    model.eval()
    room = model.shape.max_positions - max_tokens
    given = list(prompt)[-room:]
    caches = [LayerCache() for _ in model.blocks]
    answered: list[int] = []
    fresh, seen = given, 0
    while len(answered) < max_tokens:
        token = _next(model, fresh, seen, caches, hardware)
        if token in end_ids:
            break
        answered.append(token)
        fresh, seen = [token], seen + len(fresh)
    model.train()
    return answered


def _next(model: Llama, ids: Sequence[int], seen: int, caches: Sequence[LayerCache], hardware: Hardware) -> int:
    """The most likely token after `ids`, which follow `seen` positions that the caches hold."""
    device = hardware.device
    ids_BT = torch.tensor([ids], device=device)
    positions_BT = torch.arange(seen, seen + len(ids), device=device).unsqueeze(0)
    mask_TS = torch.full((len(ids), seen + len(ids)), float("-inf"), dtype=hardware.dtype, device=device)
    mask_TS = mask_TS.triu(seen + 1)
    hidden_BTC = model(ids_BT, positions_BT, mask_TS[None, None], caches)
    return int(model.logits(hidden_BTC[:, -1]).argmax())
