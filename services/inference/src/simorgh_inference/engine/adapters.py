"""Low-rank adapters beside the layers of one base, several at a time; each request goes through its own.

Source: Hu et al., LoRA. The products are PEFT's, in its order: an answer is the one of the adapter alone.
Shapes: C inputs and O outputs of a layer, R rank.
"""

import functools
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer

from simorgh_inference.engine.adapter_folders import CONFIG, WEIGHTS
from simorgh_inference.engine.intake import Intake

_MOST_KEPT = 64
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class Adapter:
    """What is added, by layer, and the texts that it was tuned on: its tokenizer and template."""

    parts: dict[str, tuple[Tensor, Tensor]]
    scale: float
    intake: Intake


class Adapters:
    """The adapters of one model. Not for several threads: `using` is for the next forward pass."""

    def __init__(self, model: nn.Module, intake: Intake) -> None:
        self._layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
        weight = next(model.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        self._intake = intake
        self._hooked: set[str] = set()
        self._kept: OrderedDict[str, Adapter] = OrderedDict()
        self._refused: dict[str, str] = {}
        self.using: Adapter | None = None

    def get(self, name: str, folder: Path) -> Adapter:
        """The adapter, loaded when it is not yet; the one that was used longest ago is forgotten for it.

        Raises: ValueError for one that does not fit the base.
        """
        if name in self._refused:
            raise ValueError(self._refused[name])
        if name not in self._kept:
            try:
                self._kept[name] = self._load(folder)
            except ValueError as error:
                self._refused[name] = str(error)
                raise
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(name)
        return self._kept[name]

    def _load(self, folder: Path) -> Adapter:
        config = json.loads((folder / CONFIG).read_bytes())
        halves: dict[str, dict[str, Tensor]] = {}
        for key, tensor in load_file(folder / WEIGHTS).items():
            layer, half = key.removeprefix(_PREFIX).removesuffix(".weight").rsplit(".", 1)
            halves.setdefault(layer, {})[half] = tensor.to(self._device, self._dtype)
        parts = {name: self._checked(name, found, int(config["r"])) for name, found in halves.items()}
        for name in parts.keys() - self._hooked:
            self._layers[name].register_forward_hook(functools.partial(self._add, name))
            self._hooked.add(name)
        return Adapter(parts, float(config["lora_alpha"]) / int(config["r"]), self._intake_of(folder))

    def _checked(self, name: str, found: dict[str, Tensor], rank: int) -> tuple[Tensor, Tensor]:
        layer = self._layers.get(name)
        if layer is None:
            raise ValueError(f"it adapts {name[:100]}, which is no linear layer of its base")
        if set(found) != {"lora_A", "lora_B"}:
            raise ValueError(f"of {name} it has {' and '.join(sorted(found))} alone")
        wanted = {"lora_A": (rank, layer.in_features), "lora_B": (layer.out_features, rank)}
        for half, shape in wanted.items():
            if tuple(found[half].shape) != shape:
                given = "x".join(map(str, found[half].shape))
                raise ValueError(f"{half} of {name} is {given}, and its base needs {shape[0]}x{shape[1]}")
        return found["lora_A"], found["lora_B"]

    def _add(self, name: str, layer: nn.Module, given: tuple[Tensor, ...], output_O: Tensor) -> Tensor | None:
        del layer
        part = None if self.using is None else self.using.parts.get(name)
        if self.using is None or part is None:
            return None
        a_RC, b_OR = part
        return output_O + functional.linear(functional.linear(given[0], a_RC), b_OR) * self.using.scale

    def _intake_of(self, folder: Path) -> Intake:
        """By its own tokenizer; the base's where it brings none."""
        if not (folder / "tokenizer_config.json").is_file():
            return self._intake
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return self._intake.with_tokenizer(tokenizer)
