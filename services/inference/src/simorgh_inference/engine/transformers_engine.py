"""The reference engine: any causal model that transformers loads, each request with a cache of its own.

Requests take turns step by step, so that each goes on and a cancelled one ends within a step. Greedy output equals
`generate` token by token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from simorgh_inference.engine import adapter_folders
from simorgh_inference.engine.adapters import Adapter, Adapters
from simorgh_inference.engine.intake import GREEDY_BELOW, Answer, Intake
from simorgh_inference.engine.onnx_model import ONNX_FILE, OnnxModel
from simorgh_inference.engine.protocol import GenerateRequest, Piece

WRITERS = {
    name
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    for name in ([names] if isinstance(names, str) else names)
}
"""Architectures that write text from left to right."""


@dataclass
class Sequence:
    """A request that is being answered."""

    answer: Answer
    generator: torch.Generator
    next_ids: list[int]
    adapter: Adapter | None = None
    past: Any = None


class TransformersEngine:
    """One model and the requests that it works on."""

    def __init__(self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self._model = load_merged(folder).eval()
        if isinstance(self._model, nn.Module):
            self._model.to(device, dtype)
        self._device, self._dtype = device, dtype
        configured = self._model.generation_config.eos_token_id
        self._intake = Intake(
            AutoTokenizer.from_pretrained(folder, trust_remote_code=False),
            configured if isinstance(configured, list) else [configured],
            int(self._model.config.max_position_embeddings),
        )
        self._adapters = Adapters(self._model, self._intake) if isinstance(self._model, nn.Module) else None
        self._active: dict[str, Sequence] = {}

    @property
    def ready(self) -> dict[str, Any]:
        """What the front is told of it."""
        precision = "bf16" if self._dtype == torch.bfloat16 else "f32"
        return {"context_tokens": self._intake.context_tokens, "precision": precision, "device": self._device}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._active

    @property
    def cache_use(self) -> float | None:
        """What of the pool is reserved; None where there is none of fixed size."""
        return None

    def add(self, request: GenerateRequest) -> Piece | None:
        """Take a request; a piece with the error where it cannot be done.

        Raises: PromptRefusedError, or whatever the model's chat template raises.
        """
        try:
            adapter = self._adapter(request)
        except ValueError as error:
            params = {"model": request["adapter"]["name"], "reason": str(error)}
            return Piece(id=request["id"], finish="error", error={"code": "model_unservable", "params": params})
        taken = (self._intake if adapter is None else adapter.intake).take(request)
        if not isinstance(taken, Answer):
            return taken
        seed = request["seed"] if request["seed"] is not None else torch.seed()
        generator = torch.Generator(self._device).manual_seed(seed)
        self._active[request["id"]] = Sequence(taken, generator, taken.prompt, adapter)
        return None

    def cancel(self, request_id: str) -> None:
        """Forget a request."""
        self._active.pop(request_id, None)

    @torch.inference_mode()
    def step(self) -> list[Piece]:
        """One token for each request."""
        pieces = [self._advance(sequence) for sequence in list(self._active.values())]
        for piece in pieces:
            if "finish" in piece:
                self._active.pop(piece["id"], None)
        return pieces

    def _adapter(self, request: GenerateRequest) -> Adapter | None:
        if "adapter" not in request:
            return None
        if self._adapters is None:
            raise ValueError("its base is kept in a form that takes no adapters")
        return self._adapters.get(request["adapter"]["name"], Path(request["adapter"]["folder"]))

    def _advance(self, sequence: Sequence) -> Piece:
        if self._adapters is not None:
            self._adapters.using = sequence.adapter
        ids_BT = torch.tensor([sequence.next_ids], device=self._device)
        output = self._model(input_ids=ids_BT, past_key_values=sequence.past, use_cache=True)
        sequence.past = output.past_key_values
        logits_V = output.logits[0, -1].float()
        token = _choose(logits_V, sequence.answer.request, sequence.generator)
        sequence.next_ids = [token]
        return said(sequence.answer, token, logits_V)


def said(answer: Answer, token: int, logits_V: torch.Tensor) -> Piece:
    """What this token brings to the answer, with how likely it was where that is asked."""
    if "logprobs" not in answer.request:
        return answer.add(token)
    logprobs_V = torch.log_softmax(logits_V, dim=-1)
    best = logprobs_V.topk(min(answer.request["logprobs"], len(logprobs_V)))
    top = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return answer.add(token, float(logprobs_V[token]), top)


def load_merged(folder: Path) -> Any:
    """The weights in float32; an adapter is merged into the base that lies in its folder."""
    if (folder / ONNX_FILE).is_file():
        return OnnxModel(folder)
    if not (folder / adapter_folders.CONFIG).is_file():
        return load_whole(folder)
    base = folder / "base"
    if not base.is_dir():
        raise ValueError("this is an adapter without its base model: upload them as one folder, the base in `base`")
    from peft import PeftModel  # takes seconds to load, and few models need it

    return PeftModel.from_pretrained(load_whole(base), folder).merge_and_unload()


def load_whole(folder: Path) -> Any:
    """The weights of a folder that is whole.

    Raises: ValueError for an architecture that goes on with no text (transformers would load an encoder all the same),
    and where weights are missing, which transformers would draw at random and only warn of.
    """
    if not (folder / "config.json").is_file():
        raise ValueError("its weights lie without the config.json and the tokenizer of its model")
    named = AutoConfig.from_pretrained(folder, trust_remote_code=False).architectures or []
    if named and not set(named) & WRITERS:
        raise ValueError(f"its architecture is {named[0]}, which does not go on with a text")
    gguf = sorted(folder.glob("*.gguf"))
    how = {"gguf_file": gguf[0].name} if gguf else {"use_safetensors": True}
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, output_loading_info=True, **how
    )
    refuse_missing(found)
    return model


def refuse_missing(found: Mapping[str, Any], but: str | None = None) -> None:
    """Raises: ValueError where weights are missing, other than those whose name begins with `but`."""
    unfit = sorted([*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])])
    unfit = [name for name in unfit if but is None or not name.startswith(but)]
    if unfit:
        raise ValueError(f"{len(unfit)} of its weights are missing or have another shape, such as {unfit[0]}")


def _choose(logits_V: torch.Tensor, request: GenerateRequest, generator: torch.Generator) -> int:
    """The next token: the best one at temperature 0, else drawn from the nucleus `top_p`, which holds the best one."""
    if request["temperature"] < GREEDY_BELOW:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V / request["temperature"], dim=-1)
    sorted_V, order_V = probabilities_V.sort(descending=True)
    before_V = sorted_V.cumsum(-1) - sorted_V
    kept_V = sorted_V.masked_fill(before_V >= request["top_p"], 0.0)
    kept_V[0] = sorted_V[0]  # the smallest nuclei are 0 in float32
    return int(order_V[torch.multinomial(kept_V, 1, generator=generator)])
