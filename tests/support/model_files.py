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


def varint(value: int) -> bytes:
    """A whole number as protobuf writes it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body


def onnx(
    operator: str = "MatMul", domain: str = "", location: str | None = None, subgraph: bool = False, length: int = 64
) -> bytes:
    """A whole ONNX model of one node and one initialiser of 4 by 4 floats."""
    node = field(4, operator) + field(7, domain)
    if subgraph:
        inner = field(1, node)
        node = field(4, "If") + field(5, field(1, "then_branch") + field(6, inner))
    tensor = field(1, varint(4) + varint(4)) + field(2, 1) + field(8, "W")
    if location is None:
        tensor += field(9, bytes(64))
    else:
        for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
            tensor += field(13, field(1, key) + field(2, value))
        tensor += field(14, 1)
    graph = field(1, node) + field(2, "g") + field(5, tensor)
    sets = field(8, field(1, domain) + field(2, 1)) if domain else field(8, field(2, 17))
    return field(1, 8) + field(7, graph) + sets


def ctranslate2(spec: str = "TransformerDecoderModelSpec") -> bytes:
    """A whole `model.bin` of one variable."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    variable = text("decoder/weight") + struct.pack("<B2IBI", 2, 4, 8, 0, 128) + bytes(128)
    aliases = struct.pack("<I", 1) + text("other") + text("decoder/weight")
    return struct.pack("<I", 6) + text(spec) + struct.pack("<II", 1, 1) + variable + aliases


def openvino(offset: int = 0, doctype: str = "") -> bytes:
    """A network of one constant of 4 by 4 floats."""
    return (
        f'<?xml version="1.0"?>{doctype}<net name="m" version="11"><layers><layer id="0" name="c" type="Const">'
        f'<data element_type="f32" shape="4, 4" offset="{offset}" size="64"/></layer></layers></net>'
    ).encode()
