"""Converts a Whisper folder, looks whether the result does what the original does, and tells what it is."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders.folder import judge

_KEPT = (
    "preprocessor_config.json", "generation_config.json", "tokenizer_config.json", "normalizer.json", "README.md",
    "LICENSE", "LICENSE.txt", "NOTICE",
)  # fmt: skip
"""What goes along beside the weights, the vocabulary and the tokenizer."""


def run_conversion(folder: Path, events: EventLog) -> None:
    """Convert the model of `run.json` into `output/`.

    Raises: InvalidInputError where it is no Whisper, or what came out is not what went in.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    run = json.loads((folder / "run.json").read_bytes())
    source, output = folder / "inputs" / "model", folder / "output"
    quantisation = str(run["spec"]["quantisation"])
    require_whisper(source)
    events.emit("progress", phase="converting", bytes=0, total_bytes=0)
    convert(source, output, quantisation)
    events.emit("progress", phase="checking", bytes=0, total_bytes=0)
    from simorgh_voice.converting.likeness import compare

    likeness = compare(source, output, quantisation)
    names = sorted(path.name for path in output.iterdir())
    verdict = judge(output, names)
    events.emit(
        "result",
        path="output",
        model={"format": verdict.format, "kind": verdict.kind, "traits": verdict.traits},
        num_parameters=verdict.num_parameters,
        metrics={"quantisation": quantisation, "likeness": likeness},
    )


def require_whisper(source: Path) -> None:
    """Raises: InvalidInputError `model_not_convertible`."""
    try:
        config: Any = json.loads((source / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInputError("model_not_convertible", reason="its config.json cannot be read") from error
    if not isinstance(config, dict) or config.get("model_type") != "whisper":
        raise InvalidInputError("model_not_convertible", reason="it is no Whisper")
    if not any(source.glob("*.safetensors")):
        raise InvalidInputError("model_not_convertible", reason="it has no safetensors weights")


def convert(source: Path, output: Path, quantisation: str) -> None:
    """Write the CTranslate2 folder, with the tokenizer that faster-whisper reads.

    Raises: InvalidInputError.
    """
    from ctranslate2.converters import TransformersConverter  # torch and transformers: seconds
    from transformers import AutoTokenizer

    try:
        TransformersConverter(str(source)).convert(str(output), quantization=quantisation)
        if (source / "tokenizer.json").is_file():
            shutil.copyfile(source / "tokenizer.json", output / "tokenizer.json")
        else:  # vocab.json and merges.txt say the same, but faster-whisper reads neither
            AutoTokenizer.from_pretrained(source, local_files_only=True).backend_tokenizer.save(
                str(output / "tokenizer.json")
            )
    except (ValueError, KeyError, RuntimeError, TypeError, AttributeError, ImportError) as error:
        reason = f"it cannot be loaded ({str(error)[:200] or type(error).__name__})"
        raise InvalidInputError("model_not_convertible", reason=reason) from error
    for name in _KEPT:
        if (source / name).is_file():
            shutil.copyfile(source / name, output / name)
