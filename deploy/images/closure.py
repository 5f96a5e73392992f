"""Writes which packages of the lock each image holds (`services/*/packages.txt`): run by `make lock`.

Names alone: the versions and hashes stand in constraints.txt, once.
"""

import sys
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    "simorgh-shared": "shared",
    "simorgh-api": "services/api",
    "simorgh-trainer-worker": "services/trainer-worker",
    "simorgh-inference": "services/inference",
    "simorgh-voice": "services/voice",
}
IMAGES: dict[str, tuple[str, ...]] = {
    "api": ("simorgh-api",),
    # Evaluation starts the serving engine as a child (architecture, import rule 6).
    "trainer-worker": ("simorgh-trainer-worker", "simorgh-inference"),
    "inference": ("simorgh-inference",),
    "voice": ("simorgh-voice[espeak]",),
}
OUTSIDE_THE_LOCK = "torch"
_PYTHONS = ("3.11.0", "3.11.14")
"""The lock holds for every Python 3.11, and so does an image's part of it."""
_HEADER = "# Made by `make lock`: what of constraints.txt an image holds.\n"


def packages(image: str) -> list[str]:
    """The names of all packages that the image's distributions need, as far as the lock goes."""
    return _closure(IMAGES[image])


def text(names: Iterable[str]) -> str:
    """A file's text."""
    return _HEADER + "".join(f"{name}\n" for name in names)


def files() -> dict[Path, str]:
    """All files and what they hold: one for each image, and one for torch, whose layer all of them share."""
    return {
        **{ROOT / "services" / image / "packages.txt": text(packages(image)) for image in IMAGES},
        ROOT / "deploy/images/torch.txt": text(_closure([OUTSIDE_THE_LOCK])),
    }


def main() -> None:
    """Write the files."""
    for path, held in files().items():
        path.write_text(held, "utf-8")


def _closure(roots: Iterable[str]) -> list[str]:
    found: set[str] = set()
    done: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in roots]
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        for extra in ("", *sorted(needed.extras)):
            if (name, extra) in done:
                continue
            done.add((name, extra))
            found.add(name)
            waiting += _needs(name, extra)
    return sorted(found - set(OURS) - {OUTSIDE_THE_LOCK})


def _needs(name: str, extra: str) -> Iterable[Requirement]:
    if name in OURS:
        return _own_needs(ROOT / OURS[name] / "pyproject.toml", extra)
    stated = [Requirement(line) for line in distribution(name).requires or []]
    return [each for each in stated if each.marker is None or _asked_for(each, extra)]


def _own_needs(path: Path, extra: str) -> list[Requirement]:
    project: Mapping[str, Any] = tomllib.loads(path.read_text("utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(line) for line in lines]


def _asked_for(needed: Requirement, extra: str) -> bool:
    assert needed.marker is not None
    return any(needed.marker.evaluate({"extra": extra, "python_full_version": version}) for version in _PYTHONS)


if __name__ == "__main__":
    sys.exit(main())
