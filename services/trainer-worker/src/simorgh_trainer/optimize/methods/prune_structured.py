"""Takes whole neurons out of the feed-forward layers, and whole groups of attention heads: a smaller ordinary Llama.

What matters least goes: by the strength of what a neuron or a head adds to the residual stream, on rows that the model
may learn from. Every layer loses as many, since the configuration knows one number for all.
Shapes: B rows, T tokens, I neurons, C hidden size, G groups of heads that share keys and values, D size of a head.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.methods.folders import copy_companions, save_as_kept
from simorgh_trainer.optimize.methods.likeness import compare_logits
from simorgh_trainer.optimize.recovery import recover
from simorgh_trainer.optimize.runtimes import TransformersRuntime, load_model
from simorgh_trainer.training.packing import Samples

DEFAULT_SPARSITY = 0.3
_STEP, _SMALL_STEP, _LARGE = 32, 8, 256
"""Neurons come in multiples of 32 (of 8 in layers of fewer than 256): products are computed, and weights of 4 bits
grouped, in such numbers."""
_MOST_CALIBRATION = 64  # pieces of rows


def make(
    source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int, learnt: Samples
) -> dict[str, Any]:
    """Write the smaller model.

    Raises: InvalidInputError where so little was asked for that nothing would go, or nothing would stay.
    """
    torch.set_num_threads(threads)
    model = load_model(source)
    config = model.config
    before = {"neurons": config.intermediate_size, "heads": config.num_attention_heads, "weights": _num_weights(model)}
    num_neurons = _num_neurons(config.intermediate_size, spec.get("sparsity") or DEFAULT_SPARSITY)
    num_groups = config.num_key_value_heads - int((spec.get("head_sparsity") or 0) * config.num_key_value_heads)
    if num_neurons == config.intermediate_size and num_groups == config.num_key_value_heads:
        raise InvalidInputError(
            "optimization_unfit", reason="so low a sparsity takes no whole neuron or head out of it"
        )
    strengths = _strengths(model, learnt)
    with torch.no_grad():
        for layer, (of_neurons_I, of_groups_G) in zip(model.model.layers, strengths, strict=True):
            _cut_neurons(layer.mlp, _strongest(of_neurons_I, num_neurons))
            _cut_groups(layer.self_attn, _strongest(of_groups_G, num_groups), config)
    config.head_dim = config.head_dim or config.hidden_size // config.num_attention_heads
    per_group = config.num_attention_heads // config.num_key_value_heads
    config.intermediate_size = num_neurons
    config.num_key_value_heads, config.num_attention_heads = num_groups, num_groups * per_group
    model.save_pretrained(output)
    copy_companions(source, output, with_config=False)
    smaller = load_model(output)  # as anyone will load it
    found: dict[str, Any] = {}
    if spec.get("recovery"):
        found["recovery"] = recover(smaller, learnt, spec["recovery"], threads, lambda: None)
    save_as_kept(smaller, source, output)
    before_it = TransformersRuntime(load_model(source), threads)
    found |= compare_logits(before_it, TransformersRuntime(load_model(output), threads), ids, None)
    after = {"neurons": num_neurons, "heads": config.num_attention_heads, "weights": _num_weights(smaller)}
    return found | {"before": before, "after": after, "calibration_rows": min(len(learnt), _MOST_CALIBRATION)}


def _num_neurons(num_before: int, sparsity: float) -> int:
    step = _STEP if num_before >= _LARGE else _SMALL_STEP
    left = -(-round(num_before * (1 - sparsity)) // step) * step
    return min(num_before, max(step, left))


def _num_weights(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _strengths(model: Any, learnt: Samples) -> list[tuple[Tensor, Tensor]]:
    """For each layer, of its neurons and of its groups of heads: the size of what they hand on, times their weights.

    Source: Sun et al., A Simple and Effective Pruning Approach for Large Language Models (the norm of activations).
    """
    layers = model.model.layers
    squares = [[torch.zeros(part.in_features) for part in (one.mlp.down_proj, one.self_attn.o_proj)] for one in layers]
    if not len(learnt):  # the weights alone decide
        squares = [[torch.ones_like(part) for part in one] for one in squares]
    with torch.inference_mode(), _watched(layers, squares):
        for index in range(min(len(learnt), _MOST_CALIBRATION)):
            piece = learnt.inputs[learnt.offsets[index] : learnt.offsets[index + 1]]
            model.model(input_ids=torch.from_numpy(piece).long()[None], use_cache=False)
    num_groups = model.config.num_key_value_heads
    found = []
    for layer, (of_neurons_I, of_channels) in zip(layers, squares, strict=True):
        handed_I = of_neurons_I * layer.mlp.down_proj.weight.square().sum(0)
        handed = of_channels * layer.self_attn.o_proj.weight.square().sum(0)
        found.append((handed_I.detach(), handed.reshape(num_groups, -1).sum(1).detach()))
    return found


@contextmanager
def _watched(layers: Any, squares: list[list[Tensor]]) -> Iterator[None]:
    """Add up the squares of what goes into each layer's two output products."""
    handles = []
    for layer, totals in zip(layers, squares, strict=True):
        for part, total in zip((layer.mlp.down_proj, layer.self_attn.o_proj), totals, strict=True):

            def add(_: nn.Module, given: tuple[Tensor], total: Tensor = total) -> None:
                total.add_(given[0].reshape(-1, given[0].shape[-1]).square().sum(0))

            handles.append(part.register_forward_pre_hook(add))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _strongest(strengths: Tensor, num_kept: int) -> Tensor:
    """The places of those that stay, in the order that they had."""
    return strengths.topk(num_kept).indices.sort().values


def _cut_neurons(mlp: Any, kept_I: Tensor) -> None:
    for part in (mlp.gate_proj, mlp.up_proj):
        part.weight = nn.Parameter(part.weight[kept_I].contiguous())
    mlp.down_proj.weight = nn.Parameter(mlp.down_proj.weight[:, kept_I].contiguous())


def _cut_groups(attention: Any, kept_G: Tensor, config: Any) -> None:
    """Queries of a group go with its keys and values."""
    num_groups = config.num_key_value_heads
    for part in (attention.q_proj, attention.k_proj, attention.v_proj):
        grouped = part.weight.reshape(num_groups, -1, part.weight.shape[1])[kept_G]
        part.weight = nn.Parameter(grouped.reshape(-1, part.weight.shape[1]).contiguous())
    out = attention.o_proj
    grouped = out.weight.reshape(out.weight.shape[0], num_groups, -1)[:, kept_G]
    out.weight = nn.Parameter(grouped.reshape(out.weight.shape[0], -1).contiguous())
