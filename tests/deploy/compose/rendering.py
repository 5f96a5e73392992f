"""What compose makes of the files: checked against its schema, defaults filled in, overlays laid over."""

import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[3] / "deploy/compose"
PROGRAM = Path(sys.executable).with_name("docker-compose")
OVERLAYS = ("compose.yaml", "compose.gpu.yaml")
_OWN = tempfile.TemporaryDirectory(prefix="simorgh-compose-")


@cache
def folder() -> Path:
    """The files with secrets of their own beside them, as `make compose-env` makes them."""
    made = Path(_OWN.name)
    for name in OVERLAYS:
        shutil.copy(FOLDER / name, made / name)
    runpy.run_path(str(FOLDER / "environment.py"))["write"](made)
    return made


def secrets() -> dict[str, str]:
    """What each of them holds."""
    return {path.name: path.read_text("utf-8").strip() for path in (folder() / "secrets").iterdir()}


def compose(*files: str | Path, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`docker compose config`, without an engine and without anybody's .env."""
    words = [word for file in files for word in ("--file", str(file))]
    return subprocess.run(
        [PROGRAM, *words, "--env-file", os.devnull, "--profile", "*", "config", "--format", "json"],
        cwd=folder(),
        env={"PATH": os.defpath, "HOME": str(FOLDER), **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@cache
def rendered(files: tuple[str, ...] = OVERLAYS) -> Json:
    """The whole model. Nobody may change it."""
    done = compose(*files)
    assert done.returncode == 0, done.stderr
    found: Json = json.loads(done.stdout)
    return found


def services() -> Mapping[str, Json]:
    """All services, those of GPUs and of every profile too."""
    found: Mapping[str, Json] = rendered()["services"]
    return found


def ours() -> dict[str, Json]:
    """Those that run the platform's own images."""
    return {name: service for name, service in services().items() if service["image"].startswith("simorgh/")}
