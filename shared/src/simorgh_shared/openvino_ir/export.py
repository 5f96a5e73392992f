"""Makes an OpenVINO model with a state of a causal model of transformers, in the shape that openvino-genai serves.

Inputs: `input_ids`, `attention_mask`, `position_ids`, `beam_idx`; output: `logits`; keys and values are its state.
Shapes: B batch, H key/value heads, T new tokens, S all tokens, D size of a head.
"""

from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from openvino._offline_transformations import apply_make_stateful_transformation
from transformers import DynamicCache

_INPUTS = ("input_ids", "attention_mask", "position_ids")
Past = list[tuple[torch.Tensor, torch.Tensor]]


class _Step(torch.nn.Module):
    """One step with keys and values as plain tensors."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, position_ids: torch.Tensor, past: Past
    ) -> tuple[torch.Tensor, ...]:
        cache = DynamicCache(config=self.model.config)
        for layer, (keys_BHSD, values_BHSD) in zip(cache.layers, past, strict=True):
            # Without this the layer joins them to an empty tensor of one axis, which OpenVINO cannot.
            layer.lazy_initialization(keys_BHSD, values_BHSD)
            layer.keys, layer.values = keys_BHSD, values_BHSD
        num_new, num_all = input_ids.shape[1], attention_mask.shape[1]
        last_T = torch.arange(num_new) + (num_all - num_new)
        is_before_TS = torch.arange(num_all)[None, :] <= last_T[:, None]
        is_seen_BTS = is_before_TS[None, None] & (attention_mask[:, None, None, :] > 0)
        mask_BTS = torch.where(is_seen_BTS, 0.0, torch.finfo(torch.float32).min)
        output = self.model(
            input_ids=input_ids,
            attention_mask=mask_BTS,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        return (output.logits, *(part for layer in cache.layers for part in (layer.keys, layer.values)))


def export(model: Any) -> openvino.Model:
    """The model in float32."""
    config = model.config
    num_heads = config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    example = {
        "input_ids": torch.ones(2, 2, dtype=torch.int64),
        "attention_mask": torch.ones(2, 5, dtype=torch.int64),
        "position_ids": torch.arange(3, 5)[None].repeat(2, 1),
        "past": [
            (torch.randn(2, num_heads, 3, size), torch.randn(2, num_heads, 3, size))
            for _ in range(config.num_hidden_layers)
        ],
    }
    with torch.inference_mode():
        exported = openvino.convert_model(_Step(model), example_input=example)
    _make_stateful(exported, config.num_hidden_layers, num_heads, size)
    return exported


def _make_stateful(exported: openvino.Model, num_layers: int, num_heads: int, size: int) -> None:
    states = [f"{layer}.{part}" for layer in range(num_layers) for part in ("key", "value")]
    past, present = [f"past_key_values.{name}" for name in states], [f"present.{name}" for name in states]
    for one, name in zip(exported.inputs, (*_INPUTS, *past), strict=True):
        one.get_tensor().set_names({name})
        if name in past:
            one.get_node().set_partial_shape(openvino.PartialShape([-1, num_heads, -1, size]))
    for one, name in zip(exported.outputs, ("logits", *present), strict=True):
        one.get_tensor().set_names({name})
    _gather_by_beam(exported, len(_INPUTS))
    exported.validate_nodes_and_infer_types()
    apply_make_stateful_transformation(exported, dict(zip(past, present, strict=True)))
    _begin_empty(exported, num_heads, size)
    exported.validate_nodes_and_infer_types()


def _gather_by_beam(exported: openvino.Model, first_state: int) -> None:
    """Let each state be picked by `beam_idx`: by that openvino-genai knows the attention that it replaces."""
    beam = ops.parameter([-1], np.int32, name="beam_idx")
    beam.output(0).get_tensor().set_names({"beam_idx"})
    states = exported.inputs[first_state:]
    exported.add_parameters([beam])
    for one in states:
        readers = one.get_target_inputs()
        picked = ops.gather(one.get_node().output(0), beam, ops.constant(0, np.int64))
        for reader in readers:
            reader.replace_source_output(picked.output(0))


def _begin_empty(exported: openvino.Model, num_heads: int, size: int) -> None:
    ids = exported.input("input_ids").get_node()
    batch = ops.gather(ops.shape_of(ids, output_type="i64"), ops.constant([0], np.int64), ops.constant(0, np.int64))
    rest = (ops.constant([length], np.int64) for length in (num_heads, 0, size))
    empty = ops.broadcast(ops.constant(0.0, np.float32), ops.concat([batch, *rest], axis=0))
    for node in exported.get_ops():
        if node.get_type_name() == "ReadValue":
            node.set_arguments([empty.output(0)])
