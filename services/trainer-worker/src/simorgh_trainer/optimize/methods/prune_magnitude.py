"""Sets the smallest weights of each layer to zero. The files stay as large: no engine here profits from zeros."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from simorgh_trainer.optimize.methods.folders import copy_companions, save_as_kept
from simorgh_trainer.optimize.methods.likeness import compare_logits
from simorgh_trainer.optimize.recovery import recover
from simorgh_trainer.optimize.runtimes import TransformersRuntime, load_model
from simorgh_trainer.training.packing import Samples

DEFAULT_SPARSITY = 0.3


def make(
    source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int, learnt: Samples
) -> dict[str, Any]:
    """Write the pruned model. Embeddings, norms and the output projection stay whole; zeros stay zero in a recovery."""
    sparsity = spec.get("sparsity") or DEFAULT_SPARSITY
    model = load_model(source)
    weights = [module.weight for module in model.model.layers.modules() if isinstance(module, nn.Linear)]
    found: dict[str, Any] = {}
    with torch.no_grad():
        for weight in weights:
            prune(weight, sparsity)
    if spec.get("recovery"):
        pruned = [weight == 0 for weight in weights]

        @torch.no_grad()
        def put_back() -> None:
            for weight, is_zero in zip(weights, pruned, strict=True):
                weight[is_zero] = 0.0

        found["recovery"] = recover(model, learnt, spec["recovery"], threads, put_back)
    num_zeros = sum(int((weight == 0).sum()) for weight in weights)
    save_as_kept(model, source, output)
    copy_companions(source, output, with_config=False)
    before = TransformersRuntime(load_model(source), threads)
    found |= compare_logits(before, TransformersRuntime(load_model(output), threads), ids, None)
    return found | {"pruned_weights": sum(weight.numel() for weight in weights), "zeros": num_zeros}


def prune(weight: torch.Tensor, sparsity: float) -> None:
    """Zero the share of smallest magnitude."""
    num_pruned = int(sparsity * weight.numel())
    if num_pruned:
        smallest = weight.abs().flatten().topk(num_pruned, largest=False).indices
        weight.view(-1)[smallest] = 0.0
