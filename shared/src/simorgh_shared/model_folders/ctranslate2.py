"""Reads a CTranslate2 `model.bin`: the name of its kind and its variables, each within the file.

Source: https://github.com/OpenNMT/CTranslate2 (python/ctranslate2/specs/model_spec.py).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from simorgh_shared.model_folders.reading import BoundedFile, DamagedError, num_elements, size_of

_VERSIONS = range(2, 7)
_MAX_VARIABLES = 1_000_000
_TYPE_BYTES = (4, 1, 2, 4, 2, 2)  # float32, int8, int16, int32, float16, bfloat16
_QUANTISED = (1, 2)
_NAME = re.compile(r"[A-Z][A-Za-z0-9]{2,60}(Spec|Model)")


@dataclass(frozen=True)
class Found:
    """What a file holds."""

    spec: str
    num_parameters: int
    is_quantised: bool


def is_one(start: bytes) -> bool:
    """Whether a file begins like this: a version, then the name of a kind of model."""
    if len(start) < 8 or int.from_bytes(start[:4], "little") not in _VERSIONS:
        return False
    length = int.from_bytes(start[4:6], "little")
    return _NAME.fullmatch(start[6 : 6 + length].rstrip(b"\0").decode("latin-1")) is not None


def read(path: Path) -> Found:
    """What the file tells.

    Raises: DamagedError.
    """
    with path.open("rb") as raw:
        file = BoundedFile(raw, size_of(path))
        file.skip(4, "its version")
        spec = _text(file, "its name")
        file.skip(4, "its revision")
        num_variables = file.number("I", "its header")
        if num_variables > _MAX_VARIABLES:
            raise DamagedError(f"it tells of {num_variables} variables, more than there can be")
        total, quantised = 0, False
        for _ in range(num_variables):
            count, kind = _variable(file)
            total += count
            quantised = quantised or (kind in _QUANTISED and count > 64)  # short ones hold settings, not weights
        if file.left:
            _aliases(file)
    return Found(spec, total, quantised)


def _variable(file: BoundedFile) -> tuple[int, int]:
    name = _text(file, "the name of a variable")
    what = f"variable {name[:60]}"
    shape = [file.number("I", what) for _ in range(file.number("B", what))]
    kind, num_bytes = file.number("B", what), file.number("I", what)
    if kind >= len(_TYPE_BYTES):
        raise DamagedError(f"{what} has the unknown type {kind}")
    count = num_elements(shape)
    if count * _TYPE_BYTES[kind] != num_bytes:
        raise DamagedError(f"{what} has {num_bytes} bytes, its shape and type need {count * _TYPE_BYTES[kind]}")
    file.skip(num_bytes, what)
    return count, kind


def _aliases(file: BoundedFile) -> None:
    for _ in range(file.number("I", "its aliases")):
        _text(file, "an alias")
        _text(file, "an alias")
    if file.left:
        raise DamagedError(f"{file.left} bytes at its end belong to nothing")


def _text(file: BoundedFile, what: str) -> str:
    return file.take(file.number("H", what), what).rstrip(b"\0").decode("utf-8", "replace")
