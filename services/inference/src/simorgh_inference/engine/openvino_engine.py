"""The engine for CPUs: openvino-genai computes one step for several requests at once.

What it does not check is checked here. A request whose worst length does not fit into what is left of the cache pool
waits: a pool that runs out in the middle would cut an answer short.
"""

import random
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openvino_genai import GenerationStatus
from transformers import AutoConfig, AutoTokenizer, GenerationConfig

from simorgh_inference.engine import openvino_pipeline
from simorgh_inference.engine.intake import GREEDY_BELOW, Answer, Intake
from simorgh_inference.engine.openvino_pipeline import BLOCK_TOKENS
from simorgh_inference.engine.protocol import GenerateRequest, Piece
from simorgh_shared.openvino_ir.precision import precision_here

_MAX_SEQUENCES = 256
_NO_TOP = (
    "the OpenVINO engine tells the log-probability of the chosen token alone. Leave it at 0, or serve the model with "
    "SIMORGH_ENGINE=transformers"
)


@dataclass
class _Sequence:
    answer: Answer
    num_blocks: int
    handle: Any = None


class OpenvinoEngine:
    """One converted model and the requests that it works on."""

    def __init__(self, folder: Path, converted: Path, precision: str, cache_bytes: int) -> None:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        self._precision = precision_here(precision)
        self._free_blocks = max(2, cache_bytes // (_bytes_per_token(config, self._precision) * BLOCK_TOKENS))
        self._num_blocks = self._free_blocks
        context_tokens = min(int(config.max_position_embeddings), (self._free_blocks - 1) * BLOCK_TOKENS)
        self._vocabulary = int(config.vocab_size)
        self._intake = Intake(
            AutoTokenizer.from_pretrained(folder, trust_remote_code=False), _end_ids(folder, config), context_tokens
        )
        self._pipeline = openvino_pipeline.load(converted, self._precision, self._free_blocks, _MAX_SEQUENCES)
        self._waiting: deque[_Sequence] = deque()
        self._active: dict[str, _Sequence] = {}
        self._num_requests = 0  # a number that is used twice breaks the next request too

    @property
    def ready(self) -> dict[str, Any]:
        """What the front is told of it."""
        return {"context_tokens": self._intake.context_tokens, "precision": self._precision}

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._active and not self._waiting

    @property
    def cache_use(self) -> float:
        """The share of the cache's pool that requests have reserved."""
        return 1 - self._free_blocks / self._num_blocks

    def add(self, request: GenerateRequest) -> Piece | None:
        """Take a request; a piece with the error where it cannot be done.

        Raises: PromptRefusedError, or whatever the model's chat template raises; ValueError for a tokenizer that does
        not fit the model, whose ids the pipeline would take.
        """
        if request.get("logprobs"):
            params = {"name": "logprobs" if "prompt" in request else "top_logprobs", "value": request["logprobs"]}
            return Piece(
                id=request["id"],
                finish="error",
                error={"code": "invalid_parameter", "params": params | {"reason": _NO_TOP}},
            )
        taken = self._intake.take(request)
        if not isinstance(taken, Answer):
            return taken
        if max(taken.prompt) >= self._vocabulary:
            raise ValueError(f"the tokenizer makes the id {max(taken.prompt)}, and the model has {self._vocabulary}")
        num_blocks = -(-(len(taken.prompt) + taken.limit) // BLOCK_TOKENS) + 1
        self._waiting.append(_Sequence(taken, num_blocks))
        return None

    def cancel(self, request_id: str) -> None:
        """Forget a request; it computes no further step."""
        sequence = self._active.pop(request_id, None)
        if sequence is not None:
            sequence.handle.cancel()
            self._free_blocks += sequence.num_blocks
        self._waiting = deque(one for one in self._waiting if one.answer.request["id"] != request_id)

    def step(self) -> list[Piece]:
        """What one step gives each request."""
        self._admit()
        self._pipeline.step()
        pieces = []
        for request_id, sequence in list(self._active.items()):
            given = _advance(sequence)
            pieces += given
            if given and "finish" in given[-1]:
                self.cancel(request_id)
        return pieces

    def _admit(self) -> None:
        """In the order they came: a long one is not overtaken for ever by short ones."""
        while self._waiting and len(self._active) < _MAX_SEQUENCES:
            sequence = self._waiting[0]
            if sequence.num_blocks > self._free_blocks:
                return
            self._waiting.popleft()
            self._free_blocks -= sequence.num_blocks
            self._num_requests += 1
            answer = sequence.answer
            sequence.handle = openvino_pipeline.add(
                self._pipeline, self._num_requests, answer.prompt, answer.limit, _sampling(answer.request)
            )
            self._active[answer.request["id"]] = sequence


def _advance(sequence: _Sequence) -> list[Piece]:
    pieces = []
    for token, logprob in openvino_pipeline.read_scored(sequence.handle):
        pieces.append(sequence.answer.add(token, logprob))
        if "finish" in pieces[-1]:
            return pieces
    if sequence.handle.get_status() != GenerationStatus.RUNNING:  # before its end: never an answer that looks whole
        pieces.append(Piece(id=sequence.answer.request["id"], finish="lost"))
    return pieces


def _sampling(request: GenerateRequest) -> dict[str, Any]:
    told = {"logprobs": 1} if "logprobs" in request else {}
    if request["temperature"] < GREEDY_BELOW:
        return told
    seed = request["seed"] if request["seed"] is not None else random.getrandbits(32)
    return told | {
        "do_sample": True,
        "temperature": request["temperature"],
        "top_p": max(request["top_p"], GREEDY_BELOW),
        "rng_seed": seed % 2**32,
    }


def _end_ids(folder: Path, config: Any) -> list[int | None]:
    try:
        settings = GenerationConfig.from_pretrained(folder)
    except OSError:  # it brings none
        settings = GenerationConfig.from_model_config(config)
    configured = settings.eos_token_id
    return configured if isinstance(configured, list) else [configured]


def _bytes_per_token(config: Any, precision: str) -> int:
    """Keys and values of all layers; the cache is 8 bits wide but in f32, with 8 bytes of scale for each head."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    of_head = size * 4 if precision == "f32" else size + 8
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * of_head)
