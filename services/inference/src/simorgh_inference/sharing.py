"""Which models share an engine: adapters on the same base, and the base itself where transformers serves it.

The same base is one with the same files by hash, whoever stored it. An adapter that is more than plain LoRA is merged
into its base and has an engine of its own.
"""

from dataclasses import dataclass
from pathlib import Path

from simorgh_inference.engine.adapter_folders import BASE, CONFIG, is_shareable
from simorgh_inference.registry import ModelSource

REASON = "adapters share their base"


@dataclass(frozen=True)
class Seat:
    """Where a model is served with others."""

    base: str
    """What tells the base from all others."""
    folder: Path
    """The base's."""
    adapter: Path | None


def seat(source: ModelSource, model: str, folder: Path, *, is_transformers: bool) -> Seat | None:
    """The seat; None for a model that has an engine of its own. It reads files and asks the registry.

    `is_transformers` tells that transformers serves whole models too; else another engine may be quicker for them.
    """
    if (folder / CONFIG).is_file():
        if not is_shareable(folder):
            return None
        base = source.weights(model)
        return None if base is None else Seat(base, folder / BASE, folder)
    if not is_transformers or not list(folder.glob("*.safetensors")):
        return None
    base = source.weights(model)
    return None if base is None else Seat(base, folder, None)
