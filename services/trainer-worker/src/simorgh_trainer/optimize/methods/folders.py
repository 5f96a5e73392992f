"""What goes along with the weights into a new folder."""

import shutil
from pathlib import Path

from simorgh_trainer.training.model_folder import TOKENIZER_FILES

_MODEL_FILES = ("generation_config.json",)
_NOTICES = ("LICENSE", "LICENSE.txt", "NOTICE", "README.md")


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
