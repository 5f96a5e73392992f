"""A graph for onnxruntime in the place of a model of transformers: ids, a mask and a cache in, logits and cache out.

Shapes: B batch, T new tokens, S all tokens, V vocabulary, H key/value heads, D size of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, GenerationConfig

ONNX_FILE = "model.onnx"
_GIVEN = ("input_ids", "attention_mask")
Cache = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class Output:
    """What transformers calls it."""

    logits: torch.Tensor
    past_key_values: Cache


class OnnxModel:
    """What the engine asks of a model, answered by onnxruntime on the processor."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise ValueError("this graph lies without the config.json and the tokenizer of its model")
        self.config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        try:
            self.generation_config = GenerationConfig.from_pretrained(folder)
        except OSError:  # it brings none
            self.generation_config = GenerationConfig.from_model_config(self.config)
        self._session = _open(folder / ONNX_FILE)
        names = [given.name for given in self._session.get_inputs()]
        self._cache_names = names[len(_GIVEN) :]
        if tuple(names[: len(_GIVEN)]) != _GIVEN or len(self._session.get_outputs()) != 1 + len(self._cache_names):
            raise ValueError(f"its graph takes {', '.join(names[:4])}; chats need ids, a mask and a cache")
        size = getattr(self.config, "head_dim", None) or self.config.hidden_size // self.config.num_attention_heads
        self._empty_BHSD = np.zeros((1, self.config.num_key_value_heads, 0, size), np.float32)

    def eval(self) -> "OnnxModel":
        """It learns nothing."""
        return self

    def __call__(self, input_ids: torch.Tensor, past_key_values: Cache | None, use_cache: bool) -> Output:
        """Logits of ids that follow what the cache holds."""
        del use_cache
        past = past_key_values or [self._empty_BHSD] * len(self._cache_names)
        feeds: dict[str, Any] = dict(zip(self._cache_names, past, strict=True))
        feeds["input_ids"] = input_ids.numpy()
        feeds["attention_mask"] = np.ones((1, past[0].shape[2] + input_ids.shape[1]), np.int64)
        logits_BTV, *present = self._session.run(None, feeds)
        return Output(torch.from_numpy(logits_BTV), present)


def _open(path: Path) -> Any:
    """Raises: ValueError for what onnxruntime cannot load."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others compute between its steps
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it raises classes of its own, which share no other base
        raise ValueError(f"onnxruntime cannot load it ({str(error).splitlines()[0][:200]})") from error
