"""Tells what a file is by its bytes. Names only say where two readings are possible."""

import codecs
import itertools
import json
import pickletools
import re
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Any

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders import ctranslate2, gguf, onnx, openvino, safetensors
from simorgh_shared.model_folders.protobuf import Span, fields
from simorgh_shared.model_folders.reading import BoundedFile, DamagedError

MAX_JSON_BYTES = 128 << 20
_START_BYTES = 4_096
_CHUNK_BYTES = 1 << 20
_CODE_SUFFIXES = frozenset(
    {
        ".py", ".pyw", ".pyi", ".pyx", ".pyc", ".ipynb", ".sh", ".bash", ".zsh", ".bat", ".cmd", ".ps1", ".js", ".mjs",
        ".ts", ".lua", ".rb", ".pl", ".php", ".so", ".dll", ".dylib", ".exe", ".jar", ".cu", ".c", ".cc", ".cpp",
    }
)  # fmt: skip
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".t7", ".dill"})
_PROGRAMS = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!")
_ARCHIVES = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z", b"\x28\xb5\x2f\xfd": "zstd"}
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")
_PROTOCOLS = (b"\x02", b"\x03", b"\x04", b"\x05")
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1f]")
_GLOBAL = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
_MAX_OPCODES = 2_000


class Content(StrEnum):
    """Kinds of files that a model folder may hold."""

    SAFETENSORS = "safetensors"
    GGUF = "gguf"
    ONNX = "onnx"
    OPENVINO = "openvino"
    CTRANSLATE2 = "ctranslate2"
    JSON = "json"
    TEXT = "text"
    SENTENCEPIECE = "sentencepiece"
    ARRAY = "array"
    PICTURE = "picture"
    UNKNOWN = "unknown"
    """Bytes without a mark. Another file may say that they are its data."""


def tell(path: Path, name: str) -> Content:
    """What a file is.

    Raises: InvalidInputError for a pickle, for program code, and for what is certainly nothing of ours.
    """
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    suffix = Path(name).suffix.lower()
    if suffix in _CODE_SUFFIXES or start.startswith(_PROGRAMS):
        raise InvalidInputError("model_file_code", path=name)
    if safetensors.is_one(start):
        return Content.SAFETENSORS
    if start.startswith(gguf.MAGIC):
        return Content.GGUF
    _refuse_pickles(path, name, start)
    _refuse_foreign(name, start)
    if ctranslate2.is_one(start):
        return Content.CTRANSLATE2
    if start.startswith(b"\x93NUMPY"):
        return Content.ARRAY
    if start.startswith(_PICTURES):
        return Content.PICTURE
    is_text, has_controls = _scan(path)
    if is_text and not has_controls:
        return _kind_of_text(path, name, start)
    if _is_sentencepiece(path):
        return Content.SENTENCEPIECE
    if onnx.is_one(path):  # a small one may hold no byte that no text has
        return Content.ONNX
    return _kind_of_text(path, name, start) if is_text else Content.UNKNOWN


def read_json(path: Path, name: str) -> Any:
    """The value of a JSON file.

    Raises: InvalidInputError.
    """
    if path.stat().st_size > MAX_JSON_BYTES:
        reason = f"it has more than {MAX_JSON_BYTES} bytes"
        raise InvalidInputError("model_file_damaged", path=name, format="JSON", reason=reason)
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidInputError("model_file_damaged", path=name, format="JSON", reason=str(error)[:100]) from error


def _refuse_pickles(path: Path, name: str, start: bytes) -> None:
    found = _pickle(path, name, start)
    if found is not None:
        raise InvalidInputError("model_file_pickle", path=name, found=found)


def _pickle(path: Path, name: str, start: bytes) -> str | None:
    if start.startswith(b"PK\x03\x04"):
        return _pickle_in_zip(path)
    if start.startswith(b"\x93NUMPY"):
        return "a NumPy array of Python objects" if b"|O" in start[:512] else None
    named = _names_in_pickle(start)
    if named is not None and start[:1] == b"\x80" and start[1:2] in _PROTOCOLS:
        return "a pickle"
    if any(_GLOBAL.fullmatch(one) for one in named or ()):
        return "a pickle in text"
    if Path(name).suffix.lower() in _PICKLE_SUFFIXES:
        return f"a {Path(name).suffix.lower()} file"
    return None


def _pickle_in_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError):
        return None
    if any(member.endswith((".pkl", ".pickle")) for member in members):
        return "a PyTorch checkpoint with a pickle in it"
    return None


def _names_in_pickle(start: bytes) -> set[str] | None:
    """What of Python's a pickle names at its beginning; None for what is no pickle.

    Protocols 0 and 1 have no mark: only what they name tells them from a text whose letters happen to be opcodes.
    """
    found: set[str] = set()
    try:
        for opcode, argument, _place in itertools.islice(pickletools.genops(start), _MAX_OPCODES):
            if opcode.name in ("GLOBAL", "INST"):
                found.add(str(argument))
    except Exception as error:  # readers of opcodes raise many kinds
        is_cut = len(start) == _START_BYTES and "unknown" not in str(error) and not isinstance(error, UnicodeError)
        return found if is_cut else None
    return found


def _refuse_foreign(name: str, start: bytes) -> None:
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        raise InvalidInputError("model_file_foreign", path=name, found="HDF5 (Keras), which can hold code")
    if start.startswith(b"PK\x03\x04"):
        raise InvalidInputError("model_file_foreign", path=name, found="a zip archive within the folder")
    if start[4:8] == b"TFL3":
        raise InvalidInputError("model_file_foreign", path=name, found="a TensorFlow Lite model")
    for mark, kind in _ARCHIVES.items():
        if start.startswith(mark):
            raise InvalidInputError("model_file_foreign", path=name, found=f"compressed data ({kind})")


def _scan(path: Path) -> tuple[bool, bool]:
    """Whether all of it is UTF-8 without NUL, and whether it holds control characters that are rare in texts."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    has_controls = False
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                if b"\0" in chunk:
                    return False, True
                decoder.decode(chunk)
                has_controls = has_controls or _CONTROLS.search(chunk) is not None
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False, True
    return True, has_controls


def _kind_of_text(path: Path, name: str, start: bytes) -> Content:
    if openvino.is_one(start):
        return Content.OPENVINO
    if name.lower().endswith(".json"):
        read_json(path, name)
        return Content.JSON
    return Content.TEXT


def _is_sentencepiece(path: Path) -> bool:
    """A sentencepiece model: pieces (1), a trainer's (2) and a normaliser's (3) specification."""
    seen: dict[int, int] = {}
    try:
        with path.open("rb") as raw:
            file = BoundedFile(raw, path.stat().st_size)
            for number, value in fields(file, Span(0, file.size)):
                if number > 5 or isinstance(value, int):
                    return False
                seen[number] = seen.get(number, 0) + 1
    except DamagedError:
        return False
    return seen.get(1, 0) > 0 and seen.get(2) == 1 and seen.get(3) == 1
