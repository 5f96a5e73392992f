"""The serving part of `make bench-gpu`: the engine for GPUs beside transformers' `generate`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import report, run_rounds

from simorgh_inference.engine.batched_engine import BatchedEngine
from simorgh_inference.engine.protocol import GenerateRequest
from simorgh_shared.schemas.training import PRESETS

PRESET = PRESETS["simorgh-34m"]
PROMPT_TOKENS, NEW_TOKENS = 25, 64
CLIENTS = (1, 8, 32)
SHAPE = {
    "hidden_size": PRESET.hidden_size,
    "num_hidden_layers": PRESET.num_layers,
    "num_attention_heads": PRESET.num_heads,
    "num_key_value_heads": PRESET.num_kv_heads,
    "intermediate_size": PRESET.intermediate_size,
    "vocab_size": PRESET.vocab_size,
    "max_position_embeddings": 512,
}


def serve(folder: Path, seconds: float, _: object) -> None:
    """Tokens a second of the engine and of `generate`, for one, eight and thirty-two at once."""
    from transformers import AutoModelForCausalLM

    torch.use_deterministic_algorithms(False)
    model_folder = make_model(folder / "llama-34m")
    for precision in ("bf16", "f32"):
        engine = BatchedEngine(model_folder, "cuda", precision, 8 << 30)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=dtype).to("cuda").eval()
        variants: dict[str, Callable[[], float]] = {}
        for clients in CLIENTS:
            variants[f"ours {clients}"] = lambda engine=engine, clients=clients: our_speed(engine, clients)
            variants[f"generate {clients}"] = lambda model=model, clients=clients: their_speed(model, clients)
        for variant in variants.values():
            variant()
        rounds = run_rounds(variants, seconds / 2)
        ratios = {
            f"vs_generate_{clients}": rounds.ratio(f"ours {clients}", f"generate {clients}") for clients in CLIENTS
        }
        report(f"gpu-serve-{precision}", "tokens/s", rounds, ratios, {}, {"new_tokens": NEW_TOKENS})


def prompts(clients: int) -> list[list[int]]:
    """Random ids, the same each time."""
    random = np.random.default_rng(clients)
    return random.integers(5, PRESET.vocab_size, (clients, PROMPT_TOKENS)).tolist()


def our_speed(engine: BatchedEngine, clients: int) -> float:
    """All at once, until the last has its answer."""
    begun = time.perf_counter()
    for number, ids in enumerate(prompts(clients)):
        engine.add(
            GenerateRequest(
                op="generate",
                id=f"r{number}",
                messages=[],
                prompt="".join(f"w{one} " for one in ids).strip(),
                max_tokens=NEW_TOKENS,
                temperature=0.0,
                top_p=1.0,
                seed=0,
                stop=[],
                cut_turns=False,
            )
        )
    tokens = 0
    while not engine.is_idle:
        tokens += len(engine.step())
    return tokens / (time.perf_counter() - begun)


def their_speed(model: Any, clients: int) -> float:
    """One batch."""
    ids_BT = torch.tensor(prompts(clients), device="cuda")
    begun = time.perf_counter()
    with torch.inference_mode():
        told = model.generate(
            ids_BT, attention_mask=torch.ones_like(ids_BT), do_sample=False, min_new_tokens=NEW_TOKENS,
            max_new_tokens=NEW_TOKENS, pad_token_id=0,
        )  # fmt: skip
    return told[:, PROMPT_TOKENS:].numel() / (time.perf_counter() - begun)


def make_model(folder: Path) -> Path:
    """34M random weights, and a word for each token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {f"w{number}": number for number in range(PRESET.vocab_size)}
    words = {("<end>" if number == 0 else word): number for word, number in words.items()}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(**SHAPE, tie_word_embeddings=True, bos_token_id=None, eos_token_id=None)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
