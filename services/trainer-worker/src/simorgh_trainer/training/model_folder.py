"""A model as a self-contained folder that plain Hugging Face code loads: written when a run ends, read to train on."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.training.checkpoint import show_folder
from simorgh_trainer.training.model import INITIAL_STD, ModelShape, from_hugging_face, to_hugging_face
from simorgh_trainer.training.tokenizer import (
    CHAT_TEMPLATE,
    END,
    PAD,
    ROLE_MARKERS,
    SPECIAL_TOKENS,
    TEXT,
    load_tokenizer,
    special_id,
)


def write_model(
    final: Path,
    weights: Mapping[str, Tensor],
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
    ids = {token: special_id(tokenizer, token) for token in (PAD, END, TEXT)}
    _write_json(scratch / "config.json", _model_config(shape, ids))
    _write_json(scratch / "tokenizer_config.json", _tokenizer_config(shape))
    generation = {"bos_token_id": ids[TEXT], "eos_token_id": ids[END], "pad_token_id": ids[PAD]}
    _write_json(scratch / "generation_config.json", generation)
    _write_json(scratch / "lineage.json", lineage)
    show_folder(scratch, final)


@dataclass(frozen=True)
class FoundModel:
    """A model folder read back."""

    tokenizer: Tokenizer
    tokenizer_file: Path
    shape: ModelShape
    weights: Mapping[str, Tensor]


def read_model(folder: Path, sequence_length: int) -> FoundModel:
    """A model to train further: one with tied embeddings whose tokenizer has our markers.

    Raises: InvalidInputError `base_model_unfit` with the reason.
    """
    try:
        config = json.loads((folder / "config.json").read_bytes())
        shape = _shape(config, sequence_length)
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        weights = from_hugging_face(load_file(folder / "model.safetensors"), shape)
    except KeyError as error:
        raise InvalidInputError("base_model_unfit", reason=f"it has no {error}") from error
    except (OSError, ValueError, SafetensorError) as error:
        raise InvalidInputError("base_model_unfit", reason=str(error)) from error
    missing = [token for token in SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
    if missing:
        raise InvalidInputError("base_model_unfit", reason=f"its tokenizer has no {missing[0]}")
    return FoundModel(tokenizer, folder / "tokenizer.json", shape, weights)


def _shape(config: Mapping[str, Any], sequence_length: int) -> ModelShape:
    """Raises: KeyError for what the configuration lacks, ValueError for what this trainer does not compute."""
    rope = config.get("rope_parameters") or {}
    unlike_ours = {
        "the architecture": config["architectures"] != ["LlamaForCausalLM"],
        "an output projection of its own": not config.get("tie_word_embeddings", False),
        "biases": bool(config.get("attention_bias") or config.get("mlp_bias")),
        "scaled positions": rope.get("rope_type", "default") != "default" or bool(config.get("rope_scaling")),
        "the activation": config.get("hidden_act", "silu") != "silu",
    }
    for part, is_unlike in unlike_ours.items():
        if is_unlike:
            raise ValueError(f"{part} is not one that can be trained further here")
    if sequence_length > config["max_position_embeddings"]:
        raise ValueError(f"it takes {config['max_position_embeddings']} positions, sequence_length is more")
    return ModelShape(
        hidden_size=config["hidden_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        num_kv_heads=config["num_key_value_heads"],
        intermediate_size=config["intermediate_size"],
        vocab_size=config["vocab_size"],
        max_positions=config["max_position_embeddings"],
        rope_theta=rope.get("rope_theta") or config["rope_theta"],
        norm_epsilon=config["rms_norm_eps"],
    )


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
