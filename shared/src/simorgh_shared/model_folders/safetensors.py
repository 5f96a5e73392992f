"""Reads the header of a safetensors file and checks that its tensors tile the file exactly.

Source: https://huggingface.co/docs/safetensors (format).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simorgh_shared.model_folders.reading import BoundedFile, DamagedError, num_elements, size_of

_MAX_HEADER_BYTES = 100_000_000  # the reference reader's own limit
_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64,
    "F32": 32, "I32": 32, "U32": 32,
    "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip


def is_one(start: bytes) -> bool:
    """Whether a file begins like this."""
    return len(start) > 8 and start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= _MAX_HEADER_BYTES


def num_parameters(path: Path) -> Mapping[str, int]:
    """How many numbers each tensor holds.

    Raises: DamagedError.
    """
    header, num_data_bytes = _header(path)
    spans: list[tuple[int, int, str]] = []
    found: dict[str, int] = {}
    for name, tensor in header.items():
        if name == "__metadata__":
            _require_texts(tensor)
            continue
        begin, end, count = _tensor(name, tensor)
        spans.append((begin, end, name))
        found[name] = count
    if not found:
        raise DamagedError("it holds no tensors")
    _require_tiles(sorted(spans), num_data_bytes)
    return found


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as raw:
        file = BoundedFile(raw, size_of(path))
        length = file.number("Q", "the length of its header")
        text = file.take(length, "its header", _MAX_HEADER_BYTES)
        rest = file.left
    try:
        header = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"its header is no JSON ({str(error)[:100]})") from error
    if not isinstance(header, dict):
        raise DamagedError("its header is no JSON object")
    return header, rest


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands in it twice")
    return dict(pairs)


def _tensor(name: str, tensor: Any) -> tuple[int, int, int]:
    where = f"tensor {name[:100]}"
    if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
        raise DamagedError(f"{where} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise DamagedError(f"{where} has the unknown type {str(dtype)[:20]}")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise DamagedError(f"{where} has a shape or offsets that are no whole numbers")
    begin, end = offsets
    count = num_elements(shape)
    if end - begin != -(-count * _BITS[dtype] // 8):
        raise DamagedError(f"{where} has {end - begin} bytes, its shape and type need {-(-count * _BITS[dtype] // 8)}")
    return begin, end, count


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _require_texts(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DamagedError("its metadata are no texts")


def _require_tiles(spans: list[tuple[int, int, str]], num_data_bytes: int) -> None:
    """No tensor may share bytes with another or lie outside, and no byte may belong to none."""
    reached = 0
    for begin, end, name in spans:
        if begin < reached:
            raise DamagedError(f"tensor {name[:100]} overlaps another")
        if begin > reached:
            raise DamagedError(f"{begin - reached} bytes before tensor {name[:100]} belong to no tensor")
        reached = end
    if reached > num_data_bytes:
        raise DamagedError(f"its tensors need {reached} bytes, it has {num_data_bytes}: the file is cut off")
    if reached < num_data_bytes:
        raise DamagedError(f"{num_data_bytes - reached} bytes at its end belong to no tensor")
