"""Low-rank adapters on a frozen Llama (Source: Hu et al., LoRA), kept in the files that PEFT reads.

Our layers join products that Hugging Face keeps apart (query, key and value; gate and up), so an adapter on a joint
layer has a part for each of them, and all parts cost one product each way.
Shapes: C inputs and O outputs of a layer, P parts of it that are adapted, R rank.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from simorgh_shared.schemas.training import LORA_TARGETS, TrainSpec
from simorgh_trainer.training.kernels import dropout
from simorgh_trainer.training.model import Llama, ModelShape

_JOINT: Mapping[str, Sequence[str]] = {
    "qkv": ("q_proj", "k_proj", "v_proj"),
    "out": ("o_proj",),
    "gate_up": ("gate_proj", "up_proj"),
    "down": ("down_proj",),
}
"""Our layers, and whose outputs theirs are, in order."""


@dataclass(frozen=True)
class Part:
    """The outputs of a joint layer that are one of Hugging Face's layers."""

    name: str
    num_outputs: int
    is_adapted: bool


class LoraLinear(nn.Module):
    """A frozen layer and what is learnt beside it: `base(x) + scale * x A\u1d40 B\u1d40`."""

    def __init__(
        self, base: nn.Linear, parts: Sequence[Part], spec: TrainSpec, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.base = base
        self.parts = parts
        self.rank = spec.lora_rank
        self.scale = spec.lora_alpha / spec.lora_rank
        self.dropout = spec.lora_dropout
        adapted = [part for part in parts if part.is_adapted]
        bound = 1 / math.sqrt(base.in_features)  # as PEFT begins: Kaiming's uniform with a = sqrt(5)
        draws_RC = torch.rand(len(adapted) * self.rank, base.in_features, generator=generator)
        self.lora_a = nn.Parameter((2 * draws_RC - 1) * bound)
        self.lora_b = nn.ParameterDict(
            {part.name: nn.Parameter(torch.zeros(part.num_outputs, self.rank)) for part in adapted}
        )

    def forward(self, x_BTC: Tensor) -> Tensor:
        given_BTC = dropout(x_BTC, self.dropout) if self.dropout and self.training else x_BTC
        low_BTR = functional.linear(given_BTC, self.lora_a)
        y_BTO: Tensor = self.base(x_BTC) + functional.linear(low_BTR, self._joint_b()) * self.scale
        return y_BTO

    def _joint_b(self) -> Tensor:
        """The parts' B (O, P x R) as one matrix: blocks of zeros where a part has nothing to do with another's A."""
        if len(self.parts) == 1:
            only: Tensor = self.lora_b[self.parts[0].name]
            return only
        blocks = [
            self.lora_b[part.name] if part.is_adapted else self.lora_a.new_zeros(part.num_outputs, 0)
            for part in self.parts
        ]
        joint_OR: Tensor = torch.block_diag(*blocks)
        return joint_OR


def adapt(model: Llama, spec: TrainSpec) -> None:
    """Freeze the model and put adapters beside the layers that the spec names."""
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(spec.seed)
    for block in model.blocks:
        for name in _JOINT:
            layer = block.get_submodule(name)
            assert isinstance(layer, nn.Linear)
            parts = _parts(name, layer, model.shape, spec.lora_targets)
            if any(part.is_adapted for part in parts):
                setattr(block, name, LoraLinear(layer, parts, spec, generator))


def save_adapter(folder: Path, weights: Mapping[str, Tensor], spec: TrainSpec, base: str) -> None:
    """Write PEFT's `adapter_model.safetensors` and `adapter_config.json`.

    weights: the learnt tensors under our names. base: the name of the model that the adapter belongs to.
    """
    named = {name: tensor.cpu().contiguous().clone() for name, tensor in _peft_weights(weights, spec)}
    save_file(named, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    body: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": spec.lora_rank,
        "lora_alpha": spec.lora_alpha,
        "lora_dropout": spec.lora_dropout,
        "target_modules": sorted(spec.lora_targets),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
    }
    (folder / "adapter_config.json").write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")


def _parts(name: str, layer: nn.Linear, shape: ModelShape, targets: Collection[str]) -> list[Part]:
    key_value_size = shape.num_kv_heads * shape.head_size
    sizes = {
        "q_proj": shape.num_heads * shape.head_size,
        "k_proj": key_value_size,
        "v_proj": key_value_size,
        "gate_proj": shape.intermediate_size,
        "up_proj": shape.intermediate_size,
    }
    return [Part(part, sizes.get(part, layer.out_features), part in targets) for part in _JOINT[name]]


def _peft_weights(weights: Mapping[str, Tensor], spec: TrainSpec) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in weights.items():
        blocks, index, layer, matrix = name.split(".", 3)
        if blocks != "blocks" or not matrix.startswith("lora_"):
            raise ValueError(f"{name} is no adapter's weight")
        group = "self_attn" if layer in ("qkv", "out") else "mlp"
        prefix = f"base_model.model.model.layers.{index}.{group}."
        if matrix == "lora_a":
            adapted = [part for part in _JOINT[layer] if part in spec.lora_targets]
            for part, rows_RC in zip(adapted, tensor.split(spec.lora_rank), strict=True):
                yield f"{prefix}{part}.lora_A.weight", rows_RC
        else:
            yield f"{prefix}{matrix.removeprefix('lora_b.')}.lora_B.weight", tensor


assert set(LORA_TARGETS) == {part for parts in _JOINT.values() for part in parts}  # the schema's list is ours
