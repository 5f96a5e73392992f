"""Reads the header of a GGUF file: metadata with bounds, and tensors that lie within the file.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from dataclasses import dataclass
from pathlib import Path

from simorgh_shared.model_folders.reading import BoundedFile, DamagedError, num_elements, size_of

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_METADATA = 10_000
_MAX_METADATA_BYTES = 128 << 20  # a vocabulary of 260,000 tokens with merges and scores takes 15 MB
_MAX_TENSORS = 100_000
_MAX_NAME_BYTES = 65_535
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "I", 7: "B", 10: "Q", 11: "q", 12: "Q"}
_SCALAR_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
# Of each type of tensor: numbers in a block, bytes of a block.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
_WHOLE = frozenset({0, 1, 24, 25, 26, 27, 28, 30})  # types with a number of its own for each weight


@dataclass(frozen=True)
class Found:
    """What a file holds."""

    num_parameters: int
    is_quantised: bool
    architecture: str
    num_files: int
    """In how many files the model lies."""


def read(path: Path) -> Found:
    """What the header tells.

    Raises: DamagedError.
    """
    with path.open("rb") as raw:
        return _read(BoundedFile(raw, size_of(path)))


def _read(file: BoundedFile) -> Found:
    if file.take(4, "its magic") != MAGIC:
        raise DamagedError("it does not begin with GGUF")
    version = file.number("I", "its version")
    if version not in _VERSIONS:
        raise DamagedError(f"it has version {version}; {_VERSIONS[0]} and {_VERSIONS[1]} are known")
    num_tensors, num_metadata = file.number("Q", "its header"), file.number("Q", "its header")
    if num_tensors > _MAX_TENSORS or num_metadata > _MAX_METADATA:
        raise DamagedError(f"it tells of {num_tensors} tensors and {num_metadata} metadata, more than there can be")
    known: dict[str, str | int] = {}
    for _ in range(num_metadata):
        key = _text(file, "the name of a metadatum", _MAX_NAME_BYTES)
        value = _value(file, file.number("I", f"metadatum {key[:60]}"), key)
        if file.offset > _MAX_METADATA_BYTES:
            raise DamagedError(f"its metadata have more than {_MAX_METADATA_BYTES} bytes")
        if value is not None:
            known[key] = value
    alignment = known.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 65_536:
        raise DamagedError(f"it is aligned to {alignment} bytes")
    return _tensors(file, num_tensors, alignment, known)


def _tensors(file: BoundedFile, num_tensors: int, alignment: int, known: dict[str, str | int]) -> Found:
    total, quantised, spans = 0, False, []
    for _ in range(num_tensors):
        name = _text(file, "the name of a tensor", _MAX_NAME_BYTES)
        num_dimensions = file.number("I", f"tensor {name[:60]}")
        if num_dimensions > 4:
            raise DamagedError(f"tensor {name[:60]} has {num_dimensions} dimensions")
        shape = [file.number("Q", f"tensor {name[:60]}") for _ in range(num_dimensions)]
        kind, offset = file.number("I", f"tensor {name[:60]}"), file.number("Q", f"tensor {name[:60]}")
        if kind not in _BLOCKS:
            raise DamagedError(f"tensor {name[:60]} has the unknown type {kind}")
        per_block, block_bytes = _BLOCKS[kind]
        count = num_elements(shape)
        if count % per_block or offset % alignment:
            raise DamagedError(f"tensor {name[:60]} does not consist of whole blocks in their places")
        spans.append((offset, offset + count // per_block * block_bytes, name))
        total += count
        quantised = quantised or kind not in _WHOLE
    _require_apart(sorted(spans), file.size - -(-file.offset // alignment) * alignment)
    num_files = known.get("split.count", 1)
    architecture = str(known.get("general.architecture", ""))
    if not architecture and num_tensors:
        raise DamagedError("it names no architecture")
    return Found(total, quantised, architecture, num_files if isinstance(num_files, int) else 1)


def _require_apart(spans: list[tuple[int, int, str]], num_data_bytes: int) -> None:
    reached = 0
    for begin, end, name in spans:
        if begin < reached:
            raise DamagedError(f"tensor {name[:60]} overlaps another")
        if end > num_data_bytes:
            raise DamagedError(f"tensor {name[:60]} lies outside the file: it is cut off")
        reached = end


def _text(file: BoundedFile, what: str, most: int) -> str:
    return file.take(file.number("Q", what), what, most).decode("utf-8", "replace")


def _value(file: BoundedFile, kind: int, key: str) -> str | int | None:
    """A text or a number; None for a list, which is passed over."""
    what = f"metadatum {key[:60]}"
    if kind == _STRING:
        return _text(file, what, _MAX_METADATA_BYTES)
    if kind in _SCALARS:
        return file.number(_SCALARS[kind], what)
    if kind != _ARRAY:
        raise DamagedError(f"{what} has the unknown type {kind}")
    of, count = file.number("I", what), file.number("Q", what)
    if of in _SCALAR_BYTES:
        file.skip(count * _SCALAR_BYTES[of], what)
    elif of == _STRING:
        for _ in range(count):
            file.skip(file.number("Q", what), what)
            if file.offset > _MAX_METADATA_BYTES:
                raise DamagedError(f"its metadata have more than {_MAX_METADATA_BYTES} bytes")
    else:
        raise DamagedError(f"{what} is a list of the unknown type {of}")
    return None
