"""What goes along with the weights into a new folder."""

import json
import shutil
from pathlib import Path
from typing import Any

from simorgh_trainer.training.model_folder import TOKENIZER_FILES

_MODEL_FILES = ("generation_config.json",)
_NOTICES = ("LICENSE", "LICENSE.txt", "NOTICE", "README.md")


def save_as_kept(model: Any, source: Path, output: Path) -> None:
    """Write the weights in the type that the source keeps them in: float32, which computes, may be twice as large."""
    import torch

    config = json.loads((source / "config.json").read_bytes())
    kept = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(config.get("dtype") or config.get("torch_dtype"))
    model.to(kept or torch.float32).save_pretrained(output)


def copy_companions(source: Path, output: Path, *, with_config: bool = True) -> None:
    """Tokenizer, chat template, generation settings and licence; an adapter's own before its base's."""
    names = (*TOKENIZER_FILES, *_MODEL_FILES, *_NOTICES, *(("config.json",) if with_config else ()))
    has_own_tokenizer = (source / "tokenizer.json").is_file()
    for name in names:
        places = [source / name]
        if name not in TOKENIZER_FILES or not has_own_tokenizer:
            places.append(source / "base" / name)
        for path in places:
            if path.is_file():
                shutil.copyfile(path, output / name)
                break
