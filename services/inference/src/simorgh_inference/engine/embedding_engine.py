"""The engine for embeddings: texts become vectors, by any model that transformers loads, decoders and encoders alike.

A text's vector is made of the last layer's states: their mean, unless the model's own `1_Pooling` names the first or
the last token. It has length 1. Requests take turns, a few texts at a time.
"""

import base64
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from simorgh_inference.engine.onnx_model import ONNX_FILE
from simorgh_inference.engine.protocol import EmbedRequest, Piece
from simorgh_inference.engine.transformers_engine import WRITERS, load_merged, refuse_missing
from simorgh_shared.openvino_ir.precision import MODEL_FILE

# B texts of a step, T tokens, C features.
_STEP_TEXTS = 16
_STEP_TOKENS = 4096  # padded ones: what a step computes, and how long a cancelled request still holds the engine
_POOLINGS = {"cls_token": "first", "lasttoken": "last", "mean_tokens": "mean"}
_POOLING_FILE = Path("1_Pooling") / "config.json"


@dataclass
class _Texts:
    request_id: str
    ids: deque[list[int]]
    num_tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_tokens = sum(map(len, self.ids))


class EmbeddingEngine:
    """One model and the requests that it works on."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self._device = device
        self._pooling = _pooling(folder)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        self._model = _load(folder).eval().to(device)
        config = self._model.config
        self._vocabulary = int(config.vocab_size)
        self._most_tokens = min(int(config.max_position_embeddings), int(self._tokenizer.model_max_length))
        self._active: deque[_Texts] = deque()
        self._dimensions = self._embed([[0]]).shape[1]  # what cannot make vectors is heard of before it is ready

    @property
    def ready(self) -> dict[str, Any]:
        """What the front is told of it."""
        told = {"dimensions": self._dimensions, "pooling": self._pooling}
        return {"context_tokens": self._most_tokens, "precision": "f32", "device": self._device, **told}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._active

    @property
    def cache_use(self) -> None:
        """It has no pool of fixed size."""

    def add(self, request: EmbedRequest) -> Piece | None:
        """Take a request; a piece with the error where a text is empty or longer than the window."""
        inputs: Iterable[str | list[int]] = request["inputs"]
        ids = deque(self._tokenizer(one)["input_ids"] if isinstance(one, str) else one for one in inputs)
        for at, one in enumerate(ids):
            if (error := self._obstacle(at, one)) is not None:
                return Piece(id=request["id"], finish="error", error=error)
        self._active.append(_Texts(request["id"], ids))
        return None

    def cancel(self, request_id: str) -> None:
        """Forget a request."""
        self._active = deque(one for one in self._active if one.request_id != request_id)

    def step(self) -> list[Piece]:
        """The vectors of a few texts of one request; the next step is another's turn."""
        if self.is_idle:
            return []
        texts = self._active.popleft()
        batch: list[list[int]] = []
        while texts.ids and len(batch) < _STEP_TEXTS:
            longest = max(map(len, (*batch, texts.ids[0])))
            if batch and longest * (len(batch) + 1) > _STEP_TOKENS:
                break
            batch.append(texts.ids.popleft())
        rows = self._embed(batch).numpy().astype("<f4")
        piece = Piece(id=texts.request_id, vectors=[base64.b64encode(row.tobytes()).decode() for row in rows])
        if texts.ids:
            self._active.append(texts)
        else:
            piece["finish"], piece["prompt_tokens"] = "stop", texts.num_tokens
        return [piece]

    @torch.inference_mode()
    def _embed(self, batch: list[list[int]]) -> torch.Tensor:
        longest = max(map(len, batch))
        ids_BT = torch.tensor([one + [0] * (longest - len(one)) for one in batch], device=self._device)
        mask_BT = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in batch], device=self._device)
        states_BTC = self._model(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state.float()
        if self._pooling == "first":
            pooled_BC = states_BTC[:, 0]
        elif self._pooling == "last":
            pooled_BC = states_BTC[torch.arange(len(batch), device=self._device), mask_BT.sum(1) - 1]
        else:
            pooled_BC = (states_BTC * mask_BT.unsqueeze(-1)).sum(1) / mask_BT.sum(1, keepdim=True)
        return torch.nn.functional.normalize(pooled_BC, dim=-1).cpu()

    def _obstacle(self, at: int, ids: list[int]) -> dict[str, Any] | None:
        if len(ids) > self._most_tokens:
            params = {"at": at, "tokens": len(ids), "context_tokens": self._most_tokens}
            return {"code": "input_too_long", "params": params}
        if ids and min(ids) >= 0 and max(ids) < self._vocabulary:
            return None
        reason = "it is empty" if not ids else f"the model knows the token ids 0 to {self._vocabulary - 1}"
        return {"code": "invalid_parameter", "params": {"name": "input", "value": f"[{at}]", "reason": reason}}


def _load(folder: Path) -> Any:
    """The model without its head.

    Raises: ValueError for what gives no states of single tokens, and where weights are missing but those of the head.
    """
    for name, form in ((ONNX_FILE, "ONNX"), (MODEL_FILE, "OpenVINO IR")):
        if (folder / name).is_file():
            raise ValueError(f"it is kept as {form}, which gives no hidden states")
    if not (folder / "config.json").is_file():
        return load_merged(folder).base_model
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if config.is_encoder_decoder:
        raise ValueError("it reads with one part and writes with another")
    if set(config.architectures or ()) & WRITERS:
        return load_merged(folder).base_model
    model, found = AutoModel.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, output_loading_info=True
    )
    # The pooler, which some encoders come without, has no part in the states.
    refuse_missing(found, but="pooler.")
    return model


def _pooling(folder: Path) -> str:
    """How the model's makers pool. Source: the folder format of sentence-transformers."""
    if not (folder / _POOLING_FILE).is_file():
        return "mean"
    told = json.loads((folder / _POOLING_FILE).read_text())
    named = [name for name, is_on in told.items() if name.startswith("pooling_mode_") and is_on is True]
    known = [pooling for name, pooling in _POOLINGS.items() if named == [f"pooling_mode_{name}"]]
    if not known:
        raise ValueError(
            f"it is pooled by {' and '.join(named) or 'nothing'}, and this engine knows mean, first and last"
        )
    return known[0]
