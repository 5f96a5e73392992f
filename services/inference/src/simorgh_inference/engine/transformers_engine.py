"""The reference engine: any causal model that transformers loads, each request with a cache of its own.

Requests take turns step by step, so that each goes on and a cancelled one ends within a step. Greedy output equals
`generate` token by token.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from simorgh_inference.engine import turns
from simorgh_inference.engine.prompt import PromptMaker
from simorgh_inference.engine.protocol import GenerateRequest, Piece
from simorgh_inference.engine.text import TextStream

ADAPTER_FILE = "adapter_config.json"
_WRITERS = {
    name
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    for name in ([names] if isinstance(names, str) else names)
}
"""Architectures that write text from left to right."""
_GREEDY_BELOW = 1e-5  # logits divided by less overflow, and what cannot be drawn from ends the engine


@dataclass
class _Sequence:
    request: GenerateRequest
    prompt: list[int]
    limit: int
    stream: TextStream
    generator: torch.Generator
    turns_cut: int
    past: Any = None
    next_ids: list[int] = field(default_factory=list)
    num_new: int = 0


class TransformersEngine:
    """One model and the requests that it works on."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        self._model = _load(folder).eval()
        self._prompts = PromptMaker(self._tokenizer)
        configured = self._model.generation_config.eos_token_id
        self._eos = set(configured if isinstance(configured, list) else [configured]) | {self._tokenizer.eos_token_id}
        self.context_tokens = int(self._model.config.max_position_embeddings)
        self._active: dict[str, _Sequence] = {}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._active

    def add(self, request: GenerateRequest) -> Piece | None:
        """Take a request; a piece with the error where it cannot be done.

        Raises: PromptRefusedError, or whatever the model's chat template raises.
        """
        prompt, turns_cut = self._prompt(request)
        room = self.context_tokens - len(prompt)
        wanted = request["max_tokens"]
        if room < 1 or (wanted or 0) > room:
            params = {"prompt_tokens": len(prompt), "max_tokens": wanted or 1, "context_tokens": self.context_tokens}
            return Piece(id=request["id"], finish="error", error={"code": "context_length_exceeded", "params": params})
        generator = torch.Generator().manual_seed(request["seed"] if request["seed"] is not None else torch.seed())
        stream = TextStream(lambda ids: str(self._tokenizer.decode(ids, skip_special_tokens=True)), request["stop"])
        self._active[request["id"]] = _Sequence(
            request, prompt, min(wanted or room, room), stream, generator, turns_cut, next_ids=prompt
        )
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

    def _prompt(self, request: GenerateRequest) -> tuple[list[int], int]:
        """The ids, and how many turns were left out. A request that names no limit keeps a quarter of the window."""
        if not request["cut_turns"]:
            return self._prompts.encode(request["messages"]), 0
        answer_tokens = request["max_tokens"] or -(-self.context_tokens // 4)
        return turns.fit(request["messages"], self._prompts.encode, self.context_tokens - answer_tokens)

    def _advance(self, sequence: _Sequence) -> Piece:
        output = self._model(input_ids=torch.tensor([sequence.next_ids]), past_key_values=sequence.past, use_cache=True)
        sequence.past = output.past_key_values
        token = _choose(output.logits[0, -1], sequence.request, sequence.generator)
        sequence.next_ids = [token]
        sequence.num_new += 1
        piece = Piece(id=sequence.request["id"], text="")
        if sequence.request["cut_turns"] and sequence.num_new == 1:
            piece["turns_cut"] = sequence.turns_cut
        if token in self._eos:
            piece["text"], piece["finish"] = sequence.stream.rest(), "stop"
        else:
            piece["text"] = sequence.stream.add(token)
            if sequence.stream.stopped:
                piece["finish"] = "stop"
            elif sequence.num_new >= sequence.limit:
                piece["text"] += sequence.stream.rest()
                piece["finish"] = "length"
        if "finish" in piece:
            piece["prompt_tokens"], piece["completion_tokens"] = len(sequence.prompt), sequence.num_new
        return piece


def _load(folder: Path) -> Any:
    """The weights in float32; an adapter is merged into the base that lies in its folder."""
    if not (folder / ADAPTER_FILE).is_file():
        return _load_whole(folder)
    base = folder / "base"
    if not base.is_dir():
        raise ValueError("this is an adapter without its base model: upload them as one folder, the base in `base`")
    from peft import PeftModel  # takes seconds to load, and few models need it

    return PeftModel.from_pretrained(_load_whole(base), folder).merge_and_unload()


def _load_whole(folder: Path) -> Any:
    """The weights of a folder that is whole.

    Raises: ValueError for an architecture that goes on with no text (transformers would load an encoder all the same),
    and where weights are missing, which transformers would draw at random and only warn of.
    """
    named = AutoConfig.from_pretrained(folder, trust_remote_code=False).architectures or []
    if named and not set(named) & _WRITERS:
        raise ValueError(f"its architecture is {named[0]}, which does not go on with a text")
    model, found = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True, output_loading_info=True
    )
    unfit = sorted([*found["missing_keys"], *(str(key) for key in found["mismatched_keys"])])
    if unfit:
        raise ValueError(f"{len(unfit)} of its weights are missing or have another shape, such as {unfit[0]}")
    return model


def _choose(logits_V: torch.Tensor, request: GenerateRequest, generator: torch.Generator) -> int:
    """The next token: the best one at temperature 0, else drawn from the nucleus `top_p`, which holds the best one."""
    if request["temperature"] < _GREEDY_BELOW:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V / request["temperature"], dim=-1)
    sorted_V, order_V = probabilities_V.sort(descending=True)
    before_V = sorted_V.cumsum(-1) - sorted_V
    kept_V = sorted_V.masked_fill(before_V >= request["top_p"], 0.0)
    kept_V[0] = sorted_V[0]  # the smallest nuclei are 0 in float32
    return int(order_V[torch.multinomial(kept_V, 1, generator=generator)])
