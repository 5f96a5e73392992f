"""Which adapters can share their base with others: plain LoRA, whose products are added beside the base's own."""

import json
from pathlib import Path
from typing import Any

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE = "base"
_PARTS = (".lora_A.weight", ".lora_B.weight")
_UNLIKE = (
    "use_dora", "use_rslora", "lora_bias", "fan_in_fan_out", "modules_to_save", "rank_pattern", "alpha_pattern",
    "layer_replication", "trainable_token_indices", "target_parameters", "alora_invocation_tokens",
)  # fmt: skip
"""Settings of PEFT that make it more than one product beside a layer. The folder is merged into its base then."""


def is_shareable(folder: Path) -> bool:
    """Whether this is such an adapter, with its base."""
    try:
        config: Any = json.loads((folder / CONFIG).read_bytes())
        names = _tensor_names(folder / WEIGHTS)
    except (OSError, ValueError):
        return False  # the engine says what is wrong with it
    return (
        isinstance(config, dict)
        and config.get("peft_type") == "LORA"
        and config.get("bias", "none") == "none"
        and not any(config.get(name) for name in _UNLIKE)
        and all(name.endswith(_PARTS) for name in names)
        and (folder / BASE).is_dir()
    )


def _tensor_names(path: Path) -> list[str]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, 1 << 26)))
    return [name for name in header if name != "__metadata__"]
