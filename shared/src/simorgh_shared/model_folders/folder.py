"""Judges a model folder as a whole: its one format, its kind, and that nothing of it is missing."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders import contents, ctranslate2, gguf, onnx, openvino, safetensors, traits
from simorgh_shared.model_folders.configs import Configs
from simorgh_shared.model_folders.contents import Content
from simorgh_shared.model_folders.reading import DamagedError
from simorgh_shared.model_folders.traits import Traits

_FORMATS = (Content.SAFETENSORS, Content.GGUF, Content.ONNX, Content.OPENVINO, Content.CTRANSLATE2)
_BASE = "base/"
"""Where the base of an adapter lies, if the folder is whole by itself."""
_SPEECH_SPECS = ("Whisper", "Wav2Vec2")


@dataclass
class Verdict:
    """What a folder is."""

    format: str
    kind: str
    num_parameters: int
    is_told: bool = False
    """Whether the content leaves no choice of the kind."""
    traits: Traits = field(default_factory=dict)


def judge(folder: Path, names: list[str], own_name: str = "") -> Verdict:
    """What the folder is, which was called `own_name` where it came with its name.

    Raises: InvalidInputError for what cannot be kept, with the file and the reason.
    """
    kinds = {name: contents.tell(folder / name, name) for name in names}
    by_kind: dict[Content, list[str]] = defaultdict(list)
    for name, kind in kinds.items():
        by_kind[kind].append(name)
    found = [kind for kind in _FORMATS if by_kind[kind]]
    sizes = {name: (folder / name).stat().st_size for name in names}
    if not found:
        _refuse_unknown(by_kind[Content.UNKNOWN], set())
        reason = "it holds no weights. Send safetensors, GGUF, ONNX, OpenVINO IR or CTranslate2 files"
        raise InvalidInputError("model_folder_unfit", reason=reason)
    if len(found) > 1:
        each = ", ".join(f"{kind.value} ({by_kind[kind][0]})" for kind in found)
        raise InvalidInputError("model_folder_unfit", reason=f"it holds weights in several formats: {each}. Send one")
    configs = Configs(folder, by_kind[Content.JSON], own_name)
    configs.refuse_code()
    return {
        Content.SAFETENSORS: _safetensors,
        Content.GGUF: _gguf,
        Content.ONNX: _onnx,
        Content.OPENVINO: _openvino,
        Content.CTRANSLATE2: _ctranslate2,
    }[found[0]](folder, by_kind, sizes, configs)


def _safetensors(
    folder: Path, by_kind: Mapping[Content, list[str]], sizes: Mapping[str, int], configs: Configs
) -> Verdict:
    del sizes
    _refuse_unknown(by_kind[Content.UNKNOWN], set())
    tensors = {}
    for name in by_kind[Content.SAFETENSORS]:
        with _damage(name, "safetensors"):
            tensors[name] = safetensors.num_parameters(folder / name)
    total = sum(sum(counts.values()) for counts in tensors.values())
    names = set(by_kind[Content.JSON] + by_kind[Content.TEXT] + by_kind[Content.SENTENCEPIECE])
    if "adapter_config.json" in configs.names:
        base = {name.removeprefix(_BASE): counts for name, counts in tensors.items() if name.startswith(_BASE)}
        configs.require_adapter({name: tensors[name] for name in tensors if not name.startswith(_BASE)})
        if base:
            names = {name.removeprefix(_BASE) for name in names if name.startswith(_BASE)}
            Configs(folder / _BASE, sorted(name for name in names if name.endswith(".json"))).require_model(base, names)
        return Verdict("safetensors", "adapter", total, is_told=True)
    if configs.is_speech:
        configs.require_speech(tensors, names)
        found = traits.of_transformers(configs.model_type, configs.told(names))
        return Verdict("safetensors", "speech", total, is_told=True, traits=found)
    configs.require_model(tensors, names)
    kind = "quantised" if configs.is_quantised else "base"
    return Verdict("safetensors", kind, total, traits=traits.of_transformers(configs.model_type, configs.told(names)))


def _gguf(folder: Path, by_kind: Mapping[Content, list[str]], sizes: Mapping[str, int], configs: Configs) -> Verdict:
    del sizes
    _refuse_unknown(by_kind[Content.UNKNOWN], set())
    found = []
    for name in by_kind[Content.GGUF]:
        with _damage(name, "GGUF"):
            found.append(gguf.read(folder / name))
    if any(one.num_files != len(found) for one in found):
        if found[0].num_files == 1:
            reason = f"it holds {len(found)} GGUF models. Send each by itself"
        else:
            reason = f"its GGUF model lies in {found[0].num_files} files, and {len(found)} were sent"
        raise InvalidInputError("model_folder_unfit", reason=reason)
    kind = "quantised" if any(one.is_quantised for one in found) else "base"
    return _spoken(configs, Verdict("gguf", kind, sum(one.num_parameters for one in found)))


def _onnx(folder: Path, by_kind: Mapping[Content, list[str]], sizes: Mapping[str, int], configs: Configs) -> Verdict:
    total, quantised, data_files = 0, False, set()
    for name in by_kind[Content.ONNX]:
        with _damage(name, "ONNX"):
            found = onnx.read(folder / name, name, sizes)
        total += found.num_parameters
        quantised = quantised or found.is_quantised
        data_files |= found.data_files
    _refuse_unknown(by_kind[Content.UNKNOWN], data_files)
    return _spoken(configs, Verdict("onnx", "quantised" if quantised else "exported", total))


def _openvino(
    folder: Path, by_kind: Mapping[Content, list[str]], sizes: Mapping[str, int], configs: Configs
) -> Verdict:
    total, quantised, data_files = 0, False, set()
    for name in by_kind[Content.OPENVINO]:
        data = f"{name.removesuffix('.xml')}.bin"
        data_files.add(data)
        with _damage(name, "OpenVINO IR"):
            found = openvino.read(folder / name, sizes.get(data))
        total += found.num_parameters
        quantised = quantised or found.is_quantised
    _refuse_unknown(by_kind[Content.UNKNOWN], data_files)
    return _spoken(configs, Verdict("openvino", "quantised" if quantised else "exported", total))


def _ctranslate2(
    folder: Path, by_kind: Mapping[Content, list[str]], sizes: Mapping[str, int], configs: Configs
) -> Verdict:
    del sizes
    _refuse_unknown(by_kind[Content.UNKNOWN], set())
    names = by_kind[Content.CTRANSLATE2]
    if names != ["model.bin"]:
        reason = f"a CTranslate2 model is one file, model.bin, and there is {', '.join(names[:3])}"
        raise InvalidInputError("model_folder_unfit", reason=reason)
    with _damage("model.bin", "CTranslate2"):
        found = ctranslate2.read(folder / "model.bin")
    if not any(
        Path(name).stem.endswith(("vocabulary", "tokenizer")) for name in (*configs.names, *by_kind[Content.TEXT])
    ):
        raise InvalidInputError("model_folder_unfit", reason="its vocabulary (vocabulary.json) is missing")
    can = traits.of_ctranslate2(found.spec, configs.told([*configs.names, *by_kind[Content.TEXT]]))
    if found.spec.startswith(_SPEECH_SPECS):
        return Verdict("ctranslate2", "speech", found.num_parameters, is_told=True, traits=can)
    kind = "quantised" if found.is_quantised else "exported"
    return Verdict("ctranslate2", kind, found.num_parameters, traits=can)


def _spoken(configs: Configs, verdict: Verdict) -> Verdict:
    """The same, as a speech model where its configuration says so."""
    if configs.is_speech:
        verdict.kind, verdict.is_told = "speech", True
    return verdict


def _refuse_unknown(names: list[str], data_files: set[str]) -> None:
    for name in names:
        if name not in data_files:
            raise InvalidInputError("model_file_foreign", path=name, found="of no kind that is known here")


@contextmanager
def _damage(name: str, format: str) -> Iterator[None]:
    """Says which file a reader could not read."""
    try:
        yield
    except DamagedError as error:
        raise InvalidInputError("model_file_damaged", path=name, format=format, reason=str(error)) from error
