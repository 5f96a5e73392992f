"""Walks an ONNX model: operators of the standard and of onnxruntime alone, and no data from outside its folder.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (numbers of the fields).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders.paths import checked
from simorgh_shared.model_folders.protobuf import Span, fields, message, numbers, text
from simorgh_shared.model_folders.reading import BoundedFile, DamagedError, num_elements, size_of

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft"})
# Of onnxruntime's own operators, these read files that they name.
_READ_FILES = frozenset({"EPContext", "Snpe"})
_MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
_MAX_DEPTH = 32
_MAX_NODES = 5_000_000
_INT8 = frozenset({2, 3, 21, 22})  # uint8, int8, uint4, int4


@dataclass
class Found:
    """What a model holds."""

    num_parameters: int = 0
    is_quantised: bool = False
    data_files: set[str] = field(default_factory=set)
    """Where the tensors lie that are not in the model's own file, relative to the folder of the whole upload."""


def is_one(path: Path) -> bool:
    """Whether a file can be read as an ONNX model: a message with an IR version, operator sets and a graph."""
    seen: dict[int, int] = {}
    try:
        with path.open("rb") as raw:
            file = BoundedFile(raw, size_of(path))
            for number, value in fields(file, Span(0, file.size)):
                if number not in _MODEL_FIELDS or isinstance(value, int) != (number in (1, 5)):
                    return False
                seen[number] = seen.get(number, 0) + 1
                if seen[number] > 100_000:
                    return False
    except DamagedError:
        return False
    return seen.get(1) == 1 and seen.get(7) == 1 and seen.get(8, 0) >= 1


def read(path: Path, own_path: str, sizes: Mapping[str, int]) -> Found:
    """What the model holds. `sizes` are the files of the whole folder, `own_path` is the model's place among them.

    Raises: DamagedError; InvalidInputError for a custom operator or a path that leads out.
    """
    with path.open("rb") as raw:
        return _Walk(BoundedFile(raw, size_of(path)), own_path, sizes).model()


class _Walk:
    def __init__(self, file: BoundedFile, own_path: str, sizes: Mapping[str, int]) -> None:
        self._file = file
        self._own_path = own_path
        self._sizes = sizes
        self._found = Found()
        self._own_functions: set[tuple[str, str]] = set()
        self._num_nodes = 0

    def model(self) -> Found:
        whole = Span(0, self._file.size)
        functions = [message(value) for number, value in fields(self._file, whole) if number == 25]
        for function in functions:
            named = {number: value for number, value in fields(self._file, function) if number in (1, 10)}
            name, domain = (text(self._file, named[n]) if n in named else "" for n in (1, 10))
            self._own_functions.add((domain, name))
        domains = {domain for domain, _ in self._own_functions}
        for number, value in fields(self._file, whole):
            if number == 7:
                self._graph(message(value), 0)
            elif number == 8:
                self._operator_set(message(value), domains)
            elif number == 20:
                raise DamagedError("it holds training steps; export it for inference")
        for function in functions:
            for number, value in fields(self._file, function):
                if number == 7:
                    self._node(message(value), 0)
                elif number == 9:
                    self._operator_set(message(value), domains)
        return self._found

    def _operator_set(self, span: Span, own: set[str]) -> None:
        for number, value in fields(self._file, span):
            if number == 1:
                domain = text(self._file, value)
                if domain not in _DOMAINS and domain not in own:
                    raise self._custom(domain, "*")

    def _graph(self, span: Span, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise DamagedError(f"its graphs are nested more than {_MAX_DEPTH} deep")
        for number, value in fields(self._file, span):
            if number == 1:
                self._node(message(value), depth)
            elif number == 5:
                self._tensor(message(value), counts=True)
            elif number == 15:
                self._sparse(message(value), counts=True)

    def _node(self, span: Span, depth: int) -> None:
        self._num_nodes += 1
        if self._num_nodes > _MAX_NODES:
            raise DamagedError(f"it has more than {_MAX_NODES} nodes")
        operator, domain = "", ""
        for number, value in fields(self._file, span):
            if number == 4:
                operator = text(self._file, value)
            elif number == 7:
                domain = text(self._file, value)
            elif number == 5:
                self._attribute(message(value), depth)
        if (domain, operator) in self._own_functions:
            return
        if domain not in _DOMAINS or operator in _READ_FILES:
            raise self._custom(domain, operator)

    def _attribute(self, span: Span, depth: int) -> None:
        for number, value in fields(self._file, span):
            if number in (5, 10):
                self._tensor(message(value), counts=False)
            elif number in (22, 23):
                self._sparse(message(value), counts=False)
            elif number in (6, 11):
                self._graph(message(value), depth + 1)

    def _sparse(self, span: Span, counts: bool) -> None:
        for number, value in fields(self._file, span):
            if number in (1, 2):
                self._tensor(message(value), counts=counts and number == 1)

    def _tensor(self, span: Span, counts: bool) -> None:
        shape: list[int] = []
        entries: dict[str, str] = {}
        kind = 0
        for number, value in fields(self._file, span):
            if number == 1:
                shape += numbers(self._file, value)
            elif number == 2 and isinstance(value, int):
                kind = value
            elif number == 13:
                pair = {n: text(self._file, v) for n, v in fields(self._file, message(value)) if n in (1, 2)}
                entries[pair.get(1, "")] = pair.get(2, "")
        if counts:
            self._found.num_parameters += num_elements(shape)
            self._found.is_quantised |= kind in _INT8 and num_elements(shape) > 1_000
        if entries:
            self._outside(entries)

    def _outside(self, entries: Mapping[str, str]) -> None:
        location = entries.get("location", "")
        place = checked("/".join([*self._own_path.split("/")[:-1], checked(location)]))
        if place not in self._sizes:
            raise DamagedError(f"its data lie in {location[:100]}, which was not sent")
        try:
            offset, length = int(entries.get("offset") or 0), int(entries.get("length") or 0)
        except ValueError as error:
            raise DamagedError(f"the place of its data in {location[:100]} is no number") from error
        if offset < 0 or length < 0 or offset + length > self._sizes[place]:
            raise DamagedError(f"its data lie outside {location[:100]}: that file is cut off")
        self._found.data_files.add(place)

    def _custom(self, domain: str, operator: str) -> InvalidInputError:
        return InvalidInputError(
            "model_custom_operator", path=self._own_path, operator=f"{domain[:60]}::{operator[:60]}"
        )
