"""Judge the files of a model that lie in a folder: `python -m simorgh_shared.model_folders.check --folder DIR`.

The gateway runs this as a child with bounds: what it reads comes from outside.
"""

import argparse
import hashlib
import resource
import shutil
import sys
from pathlib import Path

import msgspec

from simorgh_shared.domain.errors import AppError, Param
from simorgh_shared.model_folders import archives, paths
from simorgh_shared.model_folders.folder import judge
from simorgh_shared.model_folders.traits import Traits

EXIT_NO_ROOM = 74
"""How the child ends where it cannot write: not the uploader's fault."""
_ADDRESS_SPACE_BYTES = 2 << 30  # a JSON file of the largest size takes half of it
_CPU_S = 3_600
_MAX_DEPTH = 500


class FoundFile(msgspec.Struct, frozen=True):
    """A file of the model."""

    path: str
    bytes: int
    sha256: str


class ModelReport(msgspec.Struct):
    """What was found; `problem` is None exactly where the folder can be kept."""

    problem: str | None = None
    """A code of the catalogue such as model_file_pickle; `problem_params` fill its sentence."""
    problem_params: dict[str, Param] = {}
    status: int = 400
    format: str = ""
    kind: str = ""
    is_told: bool = False
    """Whether the content leaves no choice of the kind."""
    num_parameters: int = 0
    traits: Traits = {}
    """What it can be used for."""
    own_name: str = ""
    """What the folder was called, where it was sent with its name."""
    files: list[FoundFile] = []
    left_out: list[str] = []


def check_folder(root: Path, limit_bytes: int) -> ModelReport:
    """Unpack what is one archive, judge the files and hash them. They lie in `root/model` then."""
    try:
        return _checked(root, limit_bytes)
    except AppError as error:
        return ModelReport(problem=error.code, problem_params=dict(error.params), status=error.status)


def _checked(root: Path, limit_bytes: int) -> ModelReport:
    sent, model = root / "sent", root / "model"
    names = _names(sent)
    left_out: list[str] = []
    if len(names) == 1 and archives.is_archive(sent / names[0]):
        unpacked = root / "unpacked"
        unpacked.mkdir()
        left_out = archives.unpack(sent / names[0], unpacked, limit_bytes)
        shutil.rmtree(sent)
        sent, names = unpacked, _names(unpacked)
    top = paths.common_top(names)
    (sent if top is None else sent / top).rename(model)
    names = _names(model)
    verdict = judge(model, names, top or "")
    return ModelReport(
        format=verdict.format,
        kind=verdict.kind,
        is_told=verdict.is_told,
        num_parameters=verdict.num_parameters,
        traits=verdict.traits,
        own_name=top or "",
        files=[_found(model, name) for name in names],
        left_out=left_out,
    )


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _found(folder: Path, name: str) -> FoundFile:
    path = folder / name
    with path.open("rb") as file:
        return FoundFile(name, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def main() -> None:
    """Judge a folder and print the report as one JSON object; exit 0 whenever it judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the files lie in its folder `sent`")
    parser.add_argument("--limit-bytes", type=int, required=True)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    sys.setrecursionlimit(_MAX_DEPTH)
    try:
        report = check_folder(arguments.folder, arguments.limit_bytes)
    except OSError as error:
        print(f"{type(error).__name__}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_NO_ROOM)
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")


if __name__ == "__main__":
    main()
