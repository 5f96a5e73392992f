"""The weights of a Whisper that CTranslate2 holds, as openai-whisper and transformers name them.

No package carries OpenAI's own files, so that the peers of `make bench-voice` run on the same weights by this. The file
is read as ctranslate2/specs/model_spec.py writes it (version 6): names, shapes, element types, bytes.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
State = dict[str, torch.Tensor]


def read(path: Path) -> State:
    """The variables of `model.bin` by CTranslate2's names, numbers as float32."""
    with path.open("rb") as file:
        (version,) = struct.unpack("<I", file.read(4))
        if version != 6:
            raise ValueError(f"{path} is of version {version}: this reads version 6")
        _text(file)
        _, num_variables = struct.unpack("<II", file.read(8))
        return dict(_variable(file) for _ in range(num_variables))


def _variable(file: BinaryIO) -> tuple[str, torch.Tensor]:
    name = _text(file)
    (rank,) = struct.unpack("<B", file.read(1))
    shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
    kind, num_bytes = struct.unpack("<BI", file.read(5))
    values = np.frombuffer(file.read(num_bytes), _TYPES[kind]).reshape(shape).astype(np.float32)
    return name, torch.from_numpy(values)


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<H", file.read(2))
    return file.read(length).rstrip(b"\0").decode()


def _attentions(variables: State, side: str, layer: int) -> Iterator[tuple[str, str, State]]:
    """Each attention of a layer: CTranslate2's name, whose it is, and its projections apart."""
    for told in ("self_attention", "attention"):
        prefix = f"{side}/layer_{layer}/{told}"
        if f"{prefix}/linear_0/weight" not in variables:
            continue
        found: State = {}
        for kind in ("weight", "bias"):
            parts = [variables[f"{prefix}/linear_{n}/{kind}"] for n in range(3 if told == "attention" else 2)]
            query, key, value = torch.cat(parts[:-1]).chunk(3)
            found |= {f"query.{kind}": query, f"key.{kind}": key, f"value.{kind}": value, f"out.{kind}": parts[-1]}
        del found["key.bias"]  # Whisper's keys have none: zeros here
        yield prefix, told, found


def as_openai(variables: State) -> tuple[dict[str, int], State]:
    """Dimensions and state of openai-whisper's `Whisper`."""
    state: State = {}
    for side in ("encoder", "decoder"):
        layer = 0
        while f"{side}/layer_{layer}/ffn/linear_0/weight" in variables:
            block = f"{side}.blocks.{layer}"
            for prefix, told, parts in _attentions(variables, side, layer):
                name = "attn" if told == "self_attention" else "cross_attn"
                state |= {f"{block}.{name}.{part}": value for part, value in parts.items()}
                state |= _norm(variables, f"{prefix}/layer_norm", f"{block}.{name}_ln")
            for own, theirs in ((0, 0), (1, 2)):
                for kind in ("weight", "bias"):
                    value = variables[f"{side}/layer_{layer}/ffn/linear_{own}/{kind}"]
                    state[f"{block}.mlp.{theirs}.{kind}"] = value
            state |= _norm(variables, f"{side}/layer_{layer}/ffn/layer_norm", f"{block}.mlp_ln")
            layer += 1
        last = "encoder.ln_post" if side == "encoder" else "decoder.ln"
        state |= _norm(variables, f"{side}/layer_norm", last)
        state[f"{side}.positional_embedding"] = variables[f"{side}/position_encodings/encodings"]
    for conv in ("conv1", "conv2"):
        state |= {f"encoder.{conv}.{kind}": variables[f"encoder/{conv}/{kind}"] for kind in ("weight", "bias")}
    state["decoder.token_embedding.weight"] = variables["decoder/embeddings/weight"]
    return _dimensions(variables), state


def _norm(variables: State, own: str, theirs: str) -> State:
    return {f"{theirs}.weight": variables[f"{own}/gamma"], f"{theirs}.bias": variables[f"{own}/beta"]}


def _dimensions(variables: State) -> dict[str, int]:
    embedding = variables["decoder/embeddings/weight"]
    counts = {
        side: sum(name.startswith(f"{side}/") and name.endswith("/ffn/linear_0/weight") for name in variables)
        for side in ("encoder", "decoder")
    }
    return {
        "n_mels": variables["encoder/conv1/weight"].shape[1],
        "n_audio_ctx": variables["encoder/position_encodings/encodings"].shape[0],
        "n_audio_state": embedding.shape[1],
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": counts["encoder"],
        "n_vocab": embedding.shape[0],
        "n_text_ctx": variables["decoder/position_encodings/encodings"].shape[0],
        "n_text_state": embedding.shape[1],
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": counts["decoder"],
    }


_TO_TRANSFORMERS = {
    "blocks.": "layers.",
    ".cross_attn_ln": ".encoder_attn_layer_norm",
    ".attn_ln": ".self_attn_layer_norm",
    ".cross_attn.": ".encoder_attn.",
    ".attn.": ".self_attn.",
    ".query.": ".q_proj.",
    ".key.": ".k_proj.",
    ".value.": ".v_proj.",
    ".out.": ".out_proj.",
    ".mlp_ln": ".final_layer_norm",
    ".mlp.0.": ".fc1.",
    ".mlp.2.": ".fc2.",
    ".ln_post.": ".layer_norm.",
    "decoder.ln.": "decoder.layer_norm.",
    "token_embedding": "embed_tokens",
    "positional_embedding": "embed_positions.weight",
}


def as_transformers(variables: State) -> tuple[dict[str, int], State]:
    """Settings of `WhisperConfig` and the state of `WhisperForConditionalGeneration`."""
    told, openai = as_openai(variables)
    state: State = {}
    for name, value in openai.items():
        renamed = name
        for own, theirs in _TO_TRANSFORMERS.items():
            renamed = renamed.replace(own, theirs)
        state[f"model.{renamed}"] = value
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    config = {
        "vocab_size": told["n_vocab"],
        "num_mel_bins": told["n_mels"],
        "d_model": told["n_text_state"],
        "encoder_layers": told["n_audio_layer"],
        "encoder_attention_heads": told["n_audio_head"],
        "decoder_layers": told["n_text_layer"],
        "decoder_attention_heads": told["n_text_head"],
        "encoder_ffn_dim": 4 * told["n_audio_state"],
        "decoder_ffn_dim": 4 * told["n_text_state"],
        "max_source_positions": told["n_audio_ctx"],
        "max_target_positions": told["n_text_ctx"],
    }
    return config, state


def special_ids(folder: Path) -> dict[str, int]:
    """Ids of the tokens that steer the decoder, from the folder's tokenizer.json."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
