"""Builds the platform's images and prints their sizes: `make images`, with VARIANT=cuda for NVIDIA GPUs.

A package index of one's own is told by UV_CONFIG_FILE and PIP_CONFIG_FILE: both go to the build as secrets.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from closure import IMAGES, ROOT

BASE = "python:3.11-slim-bookworm"
PLAIN = "api"
"""The one image without torch: it has no variants."""
MOST_API_BYTES = 250_000_000
"""Of the gateway's own layers, over the base."""
_SECRETS = {"UV_CONFIG_FILE": "uv.toml", "PIP_CONFIG_FILE": "pip.conf"}


def version() -> str:
    """The distributions' version, which all share."""
    project = tomllib.loads((ROOT / "services/api/pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def tag(image: str, variant: str = "cpu", prefix: str = "simorgh") -> str:
    """The image's name."""
    suffix = "" if variant == "cpu" or image == PLAIN else f"-{variant}"
    return f"{prefix}/{image}:{version()}{suffix}"


def build(image: str, variant: str, environment: Mapping[str, str], prefix: str = "simorgh") -> None:
    """Build one image.

    Raises: CalledProcessError, after the engine has said what was wrong.
    """
    command = [environment.get("ENGINE", "docker"), "build", "--file", f"services/{image}/Dockerfile"]
    command += ["--tag", tag(image, variant, prefix), "--build-arg", f"VERSION={version()}"]
    command += ["--build-arg", f"REVISION={_revision()}"]
    if image != PLAIN:
        command += ["--build-arg", f"VARIANT={variant}"]
    for variable, name in _SECRETS.items():
        if environment.get(variable):
            command += ["--secret", f"id={name},src={environment[variable]}"]
    subprocess.run([*command, "."], cwd=ROOT, env={**environment, "DOCKER_BUILDKIT": "1"}, check=True)


def sizes(images: Sequence[str], environment: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Of each image: all its bytes, and those of its own layers, over the base it was built on."""
    base = set(_inspect(BASE, environment)["RootFS"]["Layers"])
    found = {}
    for name in images:
        told = _inspect(name, environment)
        if not base <= set(told["RootFS"]["Layers"]):
            raise ValueError(f"{name} was built on another {BASE}")
        found[name] = (int(told["Size"]), int(told["Size"]) - int(_inspect(BASE, environment)["Size"]))
    return found


def main() -> int:
    """Build what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--prefix", default="simorgh", help="what the names begin with, such as registry.example/simorgh"
    )
    parser.add_argument("images", nargs="*", default=[*IMAGES], metavar="IMAGE")
    arguments = parser.parse_args()
    environment = dict(os.environ)
    for image in arguments.images:
        build(image, arguments.variant, environment, arguments.prefix)
    names = {tag(image, arguments.variant, arguments.prefix): image for image in arguments.images}
    too_large = False
    for name, (whole, own) in sizes([*names], environment).items():
        sys.stdout.write(f"{name}: {whole / 1e6:,.0f} MB, of them {own / 1e6:,.0f} MB over the base\n")
        too_large |= names[name] == PLAIN and own > MOST_API_BYTES
    if too_large:
        sys.stdout.write(f"The gateway's image is larger than {MOST_API_BYTES / 1e6:,.0f} MB over the base.\n")
    return 1 if too_large else 0


def _revision() -> str:
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _inspect(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    command = [environment.get("ENGINE", "docker"), "image", "inspect", name]
    told = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout)[0]
    return found


if __name__ == "__main__":
    sys.exit(main())
