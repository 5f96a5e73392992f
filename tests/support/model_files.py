"""Files of models written byte by byte: small, whole, and easy to damage."""

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Files = Mapping[str, bytes]
CONFIG = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
TOKENIZER = b'{"version": "1.0"}'


def safetensors(tensors: Mapping[str, Sequence[int]] | None = None, fill: int = 7) -> bytes:
    """A whole file of float32 tensors by name and shape."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in (tensors or {"weight": [4, 8]}).items():
        length = 4
        for one in shape:
            length *= one
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + length]}
        place += length
    return with_header(header, bytes([fill]) * place)


def with_header(header: object, data: bytes) -> bytes:
    """A safetensors file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def base_folder(**changes: bytes | None) -> dict[str, bytes]:
    """A whole transformers folder; a change replaces a file or, with None, leaves it out."""
    files: dict[str, bytes | None] = {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": safetensors(),
        "tokenizer.json": TOKENIZER,
        "README.md": "یک مدل کوچک".encode(),
    }
    files |= {name.replace("__", "."): body for name, body in changes.items()}
    return {name: body for name, body in files.items() if body is not None}


def write(folder: Path, files: Files) -> Path:
    """Write files below a folder."""
    for name, body in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    return folder


def tar(files: Files, mode: str = "w:gz", more: Sequence[tarfile.TarInfo] = ()) -> bytes:
    """An archive of files, and of members without bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]  # a mode that is a variable
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
        for member in more:
            archive.addfile(member)
    return out.getvalue()


def zipped(files: Files) -> bytes:
    """A zip archive of files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return out.getvalue()


def gguf(num_files: int = 1, kind: int = 0, shape: Sequence[int] = (32, 2), bytes_of: int = 256) -> bytes:
    """A whole GGUF file of one tensor, and what it says of itself."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    metadata = text("general.architecture") + struct.pack("<I", 8) + text("llama")
    metadata += text("split.count") + struct.pack("<IH", 2, num_files)
    metadata += text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("سلام") + text("<|end|>")
    tensor = text("token_embd.weight") + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
    tensor += struct.pack("<IQ", kind, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + metadata + tensor
    return head + bytes(-len(head) % 32) + bytes([5]) * bytes_of
