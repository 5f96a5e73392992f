"""Which models the exporter to OpenVINO can do: told by `config.json` alone. Standard library only."""

from collections.abc import Mapping
from typing import Any

ARCHITECTURES = ("LlamaForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
_LENGTHS_MATTER = ("dynamic", "longrope")
"""Position embeddings that depend on the length of the text: tracing would keep those of the example."""


def obstacle(config: Mapping[str, Any]) -> str | None:
    """Why a model with this configuration cannot be converted; None where it can be tried."""
    named = config.get("architectures") or [None]
    if named[0] not in ARCHITECTURES:
        return f"the OpenVINO exporter does not know {named[0]}"
    if config.get("use_sliding_window", named[0] == "LlamaForCausalLM") and config.get("sliding_window"):
        return "the OpenVINO exporter cannot do sliding-window attention"
    scaling = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type")) if isinstance(scaling, dict) else None
    if kind in _LENGTHS_MATTER:
        return f"the OpenVINO exporter cannot do position embeddings of type {kind}"
    if config.get("quantization_config"):
        return "its weights are quantised already"
    return None
