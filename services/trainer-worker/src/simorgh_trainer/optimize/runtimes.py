"""What runs a model while it is measured: transformers, onnxruntime or OpenVINO. One sequence at a time, mostly.

Nothing is imported that the runtime does not need, since the memory of the process is measured.
Shapes: T tokens, V vocabulary, H key/value heads, S positions in the cache, D head size.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simorgh_shared.openvino_ir.precision import MODEL_FILE, PROPERTIES, precision_here

ONNX_FILE = "model.onnx"
GGUF_FILE = "model.gguf"


class Runtime(Protocol):
    """A model that continues one sequence."""

    name: str
    """As reports tell it."""

    def step(self, ids: list[int], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Logits (T, V) of ids that follow what `state` holds (None: nothing), and the state after them."""


def open_runtime(name: str, folder: Path, threads: int) -> Runtime:
    """Load the model of a folder.

    Raises: ValueError where weights are missing.
    """
    if name == "onnxruntime":
        return OnnxRuntime(folder, threads)
    if name == "openvino":
        return OpenvinoRuntime(folder, threads, precision_here("bf16"))
    return TransformersRuntime(load_model(folder), threads)


def load_model(folder: Path) -> Any:
    """The model as transformers loads it, in float32; an adapter on the base in its folder, a GGUF file dequantised.

    Raises: ValueError where weights are missing, which transformers would draw at random.
    """
    import torch
    from transformers import AutoModelForCausalLM

    if (folder / "adapter_config.json").is_file():
        from peft import PeftModel

        return PeftModel.from_pretrained(load_model(folder / "base"), folder).eval()
    how = {"gguf_file": GGUF_FILE} if (folder / GGUF_FILE).is_file() else {"use_safetensors": True}
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, local_files_only=True, output_loading_info=True, **how
    )
    unfit = sorted([*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])])
    if unfit:
        raise ValueError(f"{len(unfit)} of its weights are missing or have another shape, such as {unfit[0]}")
    return model.eval()


class TransformersRuntime:
    """A model of transformers on the processor."""

    name = "transformers"

    def __init__(self, model: Any, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch
        self._model = model

    def step(self, ids: list[int], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Logits of ids behind the cache, and the cache."""
        with self._torch.inference_mode():
            output = self._model(input_ids=self._torch.tensor([ids]), past_key_values=state, use_cache=True)
        logits_TV: NDArray[np.float32] = output.logits[0].numpy()
        return logits_TV, output.past_key_values

    def answer_together(self, prompts: Sequence[Sequence[int]], num_tokens: int) -> list[list[int]]:
        """So many greedy tokens for each of the prompts, in one batch that is filled up from the left.

        Shapes: B prompts, S positions up to now, T tokens of a step.
        """
        longest = max(len(prompt) for prompt in prompts)
        ids_BT = self._torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts])
        fill_B1 = self._torch.tensor([[longest - len(prompt)] for prompt in prompts])
        places_BS, state, columns = self._torch.arange(longest)[None] - fill_B1, None, []
        with self._torch.inference_mode():
            for _ in range(num_tokens):
                output = self._model(
                    input_ids=ids_BT,
                    attention_mask=(places_BS >= 0).long(),
                    position_ids=places_BS[:, -ids_BT.shape[1] :].clamp(min=0),
                    past_key_values=state,
                    use_cache=True,
                    logits_to_keep=1,
                )
                ids_BT, state = output.logits[:, -1].argmax(-1, keepdim=True), output.past_key_values
                places_BS = self._torch.cat([places_BS, places_BS[:, -1:] + 1], dim=1)
                columns.append(ids_BT)
        answers: list[list[int]] = self._torch.cat(columns, dim=1).tolist()
        return answers


class OnnxRuntime:
    """A graph that takes ids, a mask and a cache, in onnxruntime on the processor."""

    name = "onnxruntime"

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"]
        )
        config = json.loads((folder / "config.json").read_bytes())
        num_heads = config.get("num_key_value_heads") or config["num_attention_heads"]
        head_size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        self._empty_BHSD = np.zeros((1, num_heads, 0, head_size), np.float32)
        self._cache = [given.name for given in self._session.get_inputs()][2:]

    def step(self, ids: list[int], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Logits of ids behind the cache, and the cache."""
        past = state if state is not None else [self._empty_BHSD] * len(self._cache)
        num_seen = past[0].shape[2]
        feeds = dict(zip(self._cache, past, strict=True))
        feeds["input_ids"] = np.array([ids], np.int64)
        feeds["attention_mask"] = np.ones((1, num_seen + len(ids)), np.int64)
        logits_BTV, *present = self._session.run(None, feeds)
        return logits_BTV[0], present


class OpenvinoRuntime:
    """A network with a state, in OpenVINO on the processor. It holds one sequence: a new one ends the one before."""

    def __init__(self, folder: Path, threads: int, precision: str) -> None:
        import openvino

        properties = {**PROPERTIES[precision], "INFERENCE_NUM_THREADS": threads}
        self.name = f"openvino, {precision}"
        compiled = openvino.Core().compile_model(str(folder / MODEL_FILE), "CPU", properties)
        self._request = compiled.create_infer_request()

    def step(self, ids: list[int], state: Any) -> tuple[NDArray[np.float32], Any]:
        """Logits of ids behind the state, and how many it holds then."""
        if state is None:
            self._request.reset_state()
        num_seen = state or 0
        num_all = num_seen + len(ids)
        given = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, num_all), np.int64),
            "position_ids": np.arange(num_seen, num_all, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        self._request.infer(given)
        logits_BTV: NDArray[np.float32] = self._request.get_tensor("logits").data
        return logits_BTV[0].copy(), num_all
