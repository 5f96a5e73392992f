"""Reads an OpenVINO IR: the network's XML without entities, and constants that lie within the `.bin` beside it.

Source: https://docs.openvino.ai (IR format).
"""

from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from simorgh_shared.model_folders.reading import DamagedError, num_elements

_MAX_XML_BYTES = 512 << 20
_MAX_DEPTH = 64
_QUANTISED = frozenset({"i8", "u8", "i4", "u4", "nf4", "f8e4m3", "f8e5m2", "f4e2m1"})


@dataclass
class Found:
    """What a network holds."""

    num_parameters: int = 0
    is_quantised: bool = False


def is_one(start: bytes) -> bool:
    """Whether a text begins like a network."""
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<?xml"):
        text = text.partition(b"?>")[2].lstrip()
    if text.startswith(b"<!DOCTYPE net"):
        return True  # and refused by name
    return text[:4] == b"<net" and text[4:5] in (b" ", b">", b"\n", b"\r", b"\t")


def read(path: Path, num_data_bytes: int | None) -> Found:
    """What the network holds; `num_data_bytes` is the size of its `.bin`, None where there is none.

    Raises: DamagedError.
    """
    if path.stat().st_size > _MAX_XML_BYTES:
        raise DamagedError(f"it has more than {_MAX_XML_BYTES} bytes")
    network = _Network(num_data_bytes)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = network.refuse_doctype
    parser.StartElementHandler = network.start
    parser.EndElementHandler = network.end
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise DamagedError(f"it is no XML ({str(error)[:100]})") from error
    if not network.has_layers:
        raise DamagedError("it has no layers")
    return network.found


class _Network:
    def __init__(self, num_data_bytes: int | None) -> None:
        self.found = Found()
        self.has_layers = False
        self._num_data_bytes = num_data_bytes
        self._open: list[str] = []
        self._layer_type = ""

    def refuse_doctype(self, *_: object) -> None:
        raise DamagedError("it declares a document type, which could name files or grow without end")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        if len(self._open) > _MAX_DEPTH:
            raise DamagedError(f"it is nested more than {_MAX_DEPTH} deep")
        if name == "layer":
            self.has_layers = True
            self._layer_type = attributes.get("type", "")
        elif name == "data" and self._layer_type == "Const" and self._open[-2:-1] == ["layer"]:
            self._constant(attributes)

    def end(self, name: str) -> None:
        del name
        self._open.pop()

    def _constant(self, attributes: dict[str, str]) -> None:
        try:
            offset, size = int(attributes["offset"]), int(attributes["size"])
            shape = [int(length) for length in attributes.get("shape", "").split(",") if length.strip()]
        except (KeyError, ValueError) as error:
            raise DamagedError("a constant of it has no place") from error
        if self._num_data_bytes is None:
            raise DamagedError("its constants lie in a .bin of the same name, which was not sent")
        if offset < 0 or size < 0 or offset + size > self._num_data_bytes:
            raise DamagedError("a constant of it lies outside its .bin: that file is cut off")
        count = num_elements(shape)
        self.found.num_parameters += count
        self.found.is_quantised |= attributes.get("element_type", "") in _QUANTISED and count > 1_000
