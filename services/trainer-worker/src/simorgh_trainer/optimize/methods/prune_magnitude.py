"""Sets the smallest weights of each layer to zero. The files stay as large: no engine here profits from zeros."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from simorgh_trainer.optimize.methods.folders import copy_companions
from simorgh_trainer.optimize.methods.likeness import compare_logits
from simorgh_trainer.optimize.runtimes import TransformersRuntime, load_model

DEFAULT_SPARSITY = 0.3


def make(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the pruned model. Embeddings, norms and the output projection stay whole."""
    sparsity = spec.get("sparsity") or DEFAULT_SPARSITY
    model = load_model(source)
    num_weights, num_zeros = 0, 0
    with torch.no_grad():
        for module in model.model.layers.modules():
            if isinstance(module, nn.Linear):
                num_zeros += prune(module.weight, sparsity)
                num_weights += module.weight.numel()
    model.save_pretrained(output)
    copy_companions(source, output, with_config=False)
    before = TransformersRuntime(load_model(source), threads)
    found = compare_logits(before, TransformersRuntime(load_model(output), threads), ids, None)
    return found | {"pruned_weights": num_weights, "zeros": num_zeros}


def prune(weight: torch.Tensor, sparsity: float) -> int:
    """Zero the share of smallest magnitude; how many weights are zero then."""
    num_pruned = int(sparsity * weight.numel())
    if num_pruned:
        smallest = weight.abs().flatten().topk(num_pruned, largest=False).indices
        weight.view(-1)[smallest] = 0.0
    return int((weight == 0).sum())
