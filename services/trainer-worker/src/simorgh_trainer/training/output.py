"""The finished model as a folder that plain Hugging Face code loads: weights, tokenizer, chat template, lineage."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from simorgh_trainer.training.checkpoint import show_folder
from simorgh_trainer.training.model import INITIAL_STD, ModelShape, to_hugging_face
from simorgh_trainer.training.tokenizer import CHAT_TEMPLATE, END, PAD, ROLE_MARKERS, TEXT


def write_model(
    final: Path,
    weights: Mapping[str, torch.Tensor],
    shape: ModelShape,
    tokenizer: Tokenizer,
    tokenizer_file: Path,
    lineage: Mapping[str, Any],
) -> None:
    """Write the model folder beside its place and move it there."""
    scratch = final.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    scratch.mkdir(parents=True)
    named = to_hugging_face({name: tensor.cpu() for name, tensor in weights.items()}, shape)
    save_file(named, scratch / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer_file, scratch / "tokenizer.json")
    ids = {token: tokenizer.token_to_id(token) for token in (PAD, END, TEXT)}
    _write_json(scratch / "config.json", _model_config(shape, ids))
    _write_json(scratch / "tokenizer_config.json", _tokenizer_config(shape))
    generation = {"bos_token_id": ids[TEXT], "eos_token_id": ids[END], "pad_token_id": ids[PAD]}
    _write_json(scratch / "generation_config.json", generation)
    _write_json(scratch / "lineage.json", lineage)
    show_folder(scratch, final)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _model_config(shape: ModelShape, ids: Mapping[str, int]) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": shape.max_positions,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "initializer_range": INITIAL_STD,
        "use_cache": True,
        "dtype": "float32",
        "bos_token_id": ids[TEXT],
        "eos_token_id": ids[END],
        "pad_token_id": ids[PAD],
    }


def _tokenizer_config(shape: ModelShape) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": TEXT,
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [marker for marker in ROLE_MARKERS.values() if marker != TEXT],
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.max_positions,
        "padding_side": "left",
        "chat_template": CHAT_TEMPLATE,
    }


def _write_json(path: Path, body: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(body, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
