"""Reads a model folder's JSON files: code that they would load, and whether they fit its weights."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders.contents import read_json
from simorgh_shared.model_folders.traits import Told

_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_TOKENIZERS = (
    frozenset({"tokenizer.json"}),
    frozenset({"tokenizer.model"}),
    frozenset({"spiece.model"}),
    frozenset({"sentencepiece.bpe.model"}),
    frozenset({"vocab.txt"}),
    frozenset({"vocab.json", "merges.txt"}),
)
_SPEECH = frozenset(
    {
        "whisper", "vits", "wav2vec2", "wav2vec2-bert", "wav2vec2-conformer", "hubert", "wavlm", "sew", "sew-d",
        "unispeech", "unispeech-sat", "data2vec-audio", "speecht5", "seamless_m4t", "seamless_m4t_v2", "bark",
        "speech_to_text", "moonshine", "csm", "dia", "parler_tts", "fastspeech2_conformer", "mimi", "encodec",
        "univnet",
    }
)  # fmt: skip
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")


class Configs:
    """The JSON files of a folder."""

    def __init__(self, folder: Path, names: list[str], own_name: str = "") -> None:
        self._folder = folder
        self._own_name = own_name
        self.names = names
        config = self._object("config.json") if "config.json" in names else {}
        self._config = config
        model_type = config.get("model_type")
        self.model_type = model_type if isinstance(model_type, str) else ""

    @property
    def is_speech(self) -> bool:
        """Whether the model hears or speaks."""
        return self.model_type in _SPEECH

    @property
    def is_quantised(self) -> bool:
        """Whether its weights are kept in fewer bits."""
        return isinstance(self._config.get("quantization_config"), dict)

    def refuse_code(self) -> None:
        """Raises: InvalidInputError where a file would make a loader run code or read files of the server."""
        for name in self.names:
            if not name.endswith(("config.json", "index.json")) and (self._folder / name).stat().st_size > 1 << 20:
                continue  # a tokenizer or a vocabulary: nothing is loaded by name from there
            value = read_json(self._folder / name, name)
            if "auto_map" in _keys(value):
                raise InvalidInputError("model_remote_code", path=name)
            for key, path in value.items() if isinstance(value, dict) else ():
                if key.endswith("_file") and isinstance(path, str) and (path.startswith(("/", "~")) or ".." in path):
                    reason = f"{key} leads out of the folder. Delete this line"
                    raise InvalidInputError("model_file_damaged", path=name, format="configuration", reason=reason)

    def require_model(self, tensors: Mapping[str, Mapping[str, int]], names: set[str]) -> None:
        """Raises: InvalidInputError where it is no whole text model that transformers loads."""
        self.require_weights(tensors)
        if not any(needed <= names for needed in _TOKENIZERS):
            raise _unfit("its tokenizer is missing (tokenizer.json, tokenizer.model, or vocab.json with merges.txt)")

    def require_speech(self, tensors: Mapping[str, Mapping[str, int]], names: set[str]) -> None:
        """Raises: InvalidInputError where it is no whole model that hears or speaks."""
        self.require_weights(tensors)
        if self.model_type == "vits" and "vocab.json" not in names:
            raise _unfit("vocab.json is missing, which says which letters the voice knows")

    def told(self, names: Iterable[str]) -> Told:
        """What its traits are told from."""
        return Told(self._folder, list(names), self._config, self._own_name)

    def require_weights(self, tensors: Mapping[str, Mapping[str, int]]) -> None:
        """Raises: InvalidInputError where config.json does not say what the model is, or weights are missing."""
        if "config.json" not in self.names:
            raise _unfit("config.json is missing, which says how the weights are used")
        if not self.model_type:
            raise _unfit("config.json names no model_type")
        architectures = self._config.get("architectures")
        if (
            not isinstance(architectures, list)
            or not architectures
            or not all(isinstance(a, str) for a in architectures)
        ):
            raise _unfit("config.json names no architectures")
        self._require_whole(tensors)

    def _require_whole(self, tensors: Mapping[str, Mapping[str, int]]) -> None:
        """A shard may be missing, or the weights may have names that no loader looks for."""
        if _WEIGHTS in tensors:
            if others := sorted(set(tensors) - {_WEIGHTS}):
                raise _unfit(f"beside {_WEIGHTS} it holds {others[0]}. Send one model")
            return
        if _INDEX not in self.names:
            if any(_SHARD.fullmatch(name) for name in tensors):
                raise _unfit(f"its weights lie in shards, and {_INDEX} is missing")
            raise _unfit(f"its weights are called {sorted(tensors)[0]}: call them {_WEIGHTS}")
        weight_map = self._object(_INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
            raise _unfit(f"{_INDEX} has no weight_map")
        shards = set(weight_map.values())
        for shard in sorted(shards - set(tensors)):
            raise _unfit(f"the shard {shard[:100]} is missing, which {_INDEX} names")
        for shard in sorted(set(tensors) - shards):
            raise _unfit(f"the shard {shard} is not named in {_INDEX}")
        for tensor, shard in weight_map.items():
            if tensor not in tensors[shard]:
                raise _unfit(f"{shard} does not hold the tensor {tensor[:100]}, which {_INDEX} says")

    def require_adapter(self, tensors: Mapping[str, Mapping[str, int]]) -> None:
        """Raises: InvalidInputError where it is not a whole adapter and nothing else."""
        if set(tensors) != {_ADAPTER_WEIGHTS}:
            raise _unfit(f"with adapter_config.json belongs {_ADAPTER_WEIGHTS} alone, not {', '.join(sorted(tensors))}")
        config = self._object("adapter_config.json")
        if not isinstance(config.get("peft_type"), str):
            raise _unfit("adapter_config.json names no peft_type")

    def _object(self, name: str) -> dict[str, Any]:
        value = read_json(self._folder / name, name)
        if not isinstance(value, dict):
            raise _unfit(f"{name} is no JSON object")
        return value


def _keys(value: Any) -> set[str]:
    """The names in a value, however deep."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found |= set(one)
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("model_folder_unfit", reason=reason)
