"""A model as a self-contained folder that plain Hugging Face code loads: written when a run ends, read to train on."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.training import TrainSpec
from simorgh_trainer.training import lora
from simorgh_trainer.training.checkpoint import show_folder
from simorgh_trainer.training.formats.markers import Markers
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

if TYPE_CHECKING:
    from simorgh_trainer.training.formats.chat_template import ChatTemplate

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "added_tokens.json",
)
"""What belongs to a Hugging Face tokenizer."""


def write_model(
    final: Path,
    weights: Mapping[str, Tensor],
    shape: ModelShape,
    tokenizer: Tokenizer,
    tokenizer_file: Path,
    lineage: Mapping[str, Any],
) -> None:
    """Write the model folder beside its place and move it there."""
    scratch = _begin(final)
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


def write_tuned(
    final: Path,
    weights: Mapping[str, Tensor],
    shape: ModelShape,
    base: Path,
    chat: "ChatTemplate",
    lineage: Mapping[str, Any],
) -> None:
    """Write a model that came from elsewhere back as it came: its own configuration and tokenizer, new weights."""
    scratch = _begin(final)
    named = to_hugging_face({name: tensor.cpu() for name, tensor in weights.items()}, shape)
    save_file(named, scratch / "model.safetensors", metadata={"format": "pt"})
    _copy_tokenizer(base, scratch, chat)
    config = json.loads((base / "config.json").read_bytes())
    for stale in ("quantization_config", "torch_dtype"):
        config.pop(stale, None)
    _write_json(scratch / "config.json", config | {"dtype": "float32"})
    if (base / "generation_config.json").is_file():
        shutil.copyfile(base / "generation_config.json", scratch / "generation_config.json")
    _write_json(scratch / "lineage.json", lineage)
    show_folder(scratch, final)


def write_adapter(
    final: Path,
    weights: Mapping[str, Tensor],
    spec: TrainSpec,
    base: Path,
    chat: "ChatTemplate | None",
    lineage: Mapping[str, Any],
) -> None:
    """Write an adapter in PEFT's files, with the tokenizer that it was trained with."""
    scratch = _begin(final)
    lora.save_adapter(scratch, weights, spec, spec.model)
    _copy_tokenizer(base, scratch, chat)
    _write_json(scratch / "lineage.json", lineage)
    show_folder(scratch, final)


@dataclass(frozen=True)
class FoundModel:
    """A model folder read back."""

    folder: Path
    row_format: "Markers | ChatTemplate"
    tokenizer: Tokenizer
    tokenizer_file: Path
    shape: ModelShape

    def weights(self) -> Mapping[str, Tensor]:
        """The weights under our names.

        Raises: InvalidInputError `base_model_unfit`.
        """
        try:
            return from_hugging_face(_load_weights(self.folder), self.shape)
        except KeyError as error:
            raise InvalidInputError("base_model_unfit", reason=f"it has no {error}") from error
        except (OSError, ValueError, SafetensorError) as error:
            raise InvalidInputError("base_model_unfit", reason=str(error)) from error

    @property
    def chat(self) -> "ChatTemplate | None":
        """The template of a model from elsewhere; None for one that began here."""
        return None if isinstance(self.row_format, Markers) else self.row_format


def read_model(folder: Path, sequence_length: int) -> FoundModel:
    """A model to train further: a Llama, with our markers or a chat template of its own.

    Raises: InvalidInputError `base_model_unfit` with the reason.
    """
    path = folder / "tokenizer.json"
    try:
        config = json.loads((folder / "config.json").read_bytes())
        shape = _shape(config, sequence_length)
        tokenizer = load_tokenizer(path)
    except KeyError as error:
        raise InvalidInputError("base_model_unfit", reason=f"its config.json has no {error}") from error
    except Exception as error:  # tokenizers raises bare ones
        raise InvalidInputError("base_model_unfit", reason=str(error)) from error
    row_format = find_row_format(folder, tokenizer)
    return FoundModel(
        folder, row_format, tokenizer if isinstance(row_format, Markers) else row_format.tokenizer, path, shape
    )


def find_row_format(folder: Path, tokenizer: Tokenizer) -> "Markers | ChatTemplate":
    """How the model of a folder writes rows: with our markers, or by a chat template.

    Raises: InvalidInputError `base_model_unfit`.
    """
    if all(tokenizer.token_to_id(token) is not None for token in SPECIAL_TOKENS):
        return Markers(tokenizer)
    from simorgh_trainer.training.formats.chat_template import ChatTemplate  # transformers takes seconds to load

    return ChatTemplate(folder)


def _load_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors, of one file or of the shards that an index names."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return load_file(folder / "model.safetensors")
    names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    return {name: tensor for shard in names for name, tensor in load_file(folder / Path(shard).name).items()}


def _begin(final: Path) -> Path:
    """An empty folder beside the final one."""
    scratch = final.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(final, ignore_errors=True)
    scratch.mkdir(parents=True)
    return scratch


def _copy_tokenizer(base: Path, folder: Path, chat: "ChatTemplate | None") -> None:
    for name in TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    if chat is not None:
        chat.save_template(folder)


def _shape(config: Mapping[str, Any], sequence_length: int) -> ModelShape:
    """Raises: KeyError for what the configuration lacks, ValueError for what this trainer does not compute."""
    rope = config.get("rope_parameters") or {}
    head_size = config.get("head_dim")
    unlike_ours = {
        "the architecture": config["architectures"] != ["LlamaForCausalLM"],
        "the size of its heads": head_size not in (None, config["hidden_size"] // config["num_attention_heads"]),
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
        num_kv_heads=config.get("num_key_value_heads") or config["num_attention_heads"],
        intermediate_size=config["intermediate_size"],
        vocab_size=config["vocab_size"],
        max_positions=config["max_position_embeddings"],
        rope_theta=rope.get("rope_theta") or config.get("rope_theta", 10_000.0),
        norm_epsilon=config["rms_norm_eps"],
        is_tied=bool(config.get("tie_word_embeddings", False)),
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
        "tie_word_embeddings": shape.is_tied,
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
