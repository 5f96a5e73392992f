"""A GGUF file of a Llama, as llama.cpp lays it out; read back twice before it counts.

Source: the GGUF specification and llama.cpp's convert_hf_to_gguf. Shapes: O outputs, C inputs of a layer.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.methods.folders import copy_companions
from simorgh_trainer.optimize.methods.likeness import compare_logits
from simorgh_trainer.optimize.runtimes import GGUF_FILE, TransformersRuntime, load_model

_TYPES = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
_FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
_MOST_DEVIATION = {"f16": 1e-3, "q8_0": 0.01}
"""Of a tensor's values from the original's, by root mean square; q8_0 of normal values came out at 0.005."""
_BLOCK = 32  # values that share a scale in q8_0
_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def make(source: Path, output: Path, spec: Mapping[str, Any], ids: list[int], threads: int) -> dict[str, Any]:
    """Write the file with the tokenizer beside it.

    Raises: InvalidInputError for a tokenizer that GGUF cannot hold, or where what is read back is not what was written.
    """
    precision = spec.get("precision") or "f16"
    model = load_model(source)
    output.mkdir()
    tensors = dict(_tensors(model))
    _write(output / GGUF_FILE, model.config, tensors, _tokens(source), precision)
    copy_companions(source, output)
    deviation = _read_back(output / GGUF_FILE, tensors, precision)
    loaded = load_model(output)
    _compare_loaded(loaded, output / GGUF_FILE, tensors)
    found = compare_logits(TransformersRuntime(model, threads), TransformersRuntime(loaded, threads), ids, None)
    return found | {"tensors": len(tensors), "largest_tensor_deviation": deviation, "read_by": "gguf, transformers"}


def _tensors(model: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The weights under GGUF's names; queries and keys with the two halves of each head interleaved."""
    config = model.config
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        values = tensor.detach().numpy()
        if name == "model.embed_tokens.weight":
            yield "token_embd.weight", values
        elif name == "model.norm.weight":
            yield "output_norm.weight", values
        elif name == "lm_head.weight":
            if not config.tie_word_embeddings:
                yield "output.weight", values
        else:
            _, _, index, layer = name.removesuffix(".weight").split(".", 3)
            theirs = _NAMES[layer]
            yield f"blk.{index}.{theirs}.weight", interleave(values, heads[theirs]) if theirs in heads else values


def interleave(weight_OC: NDArray[np.float32], num_heads: int) -> NDArray[np.float32]:
    """Rows of a head in the order that llama.cpp's rotation takes: 0, d/2, 1, d/2 + 1, …"""
    halves = weight_OC.reshape(num_heads, 2, weight_OC.shape[0] // num_heads // 2, weight_OC.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight_OC.shape))


def _tokens(source: Path) -> Mapping[str, Any]:
    """Vocabulary, merges and special tokens of a byte-level BPE.

    Raises: InvalidInputError for a tokenizer of another kind.
    """
    folder = source if (source / "tokenizer.json").is_file() else source / "base"
    body = json.loads((folder / "tokenizer.json").read_bytes())
    model = body["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback") or '"ByteLevel"' not in json.dumps(body):
        raise InvalidInputError("optimization_unfit", reason="its tokenizer is no byte-level BPE")
    words = {int(place): word for word, place in model["vocab"].items()}
    added = {int(one["id"]): one for one in body.get("added_tokens", ())}
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    return {"words": words, "added": added, "merges": merges}


def _write(
    path: Path, config: Any, tensors: Mapping[str, NDArray[np.float32]], tokens: Mapping[str, Any], precision: str
) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(_FILE_TYPES[precision])
    _write_tokens(writer, config, tokens)
    for name, values in tensors.items():
        kind = _type_of(values, precision)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_tokens(writer: gguf.GGUFWriter, config: Any, tokens: Mapping[str, Any]) -> None:
    """llama.cpp knows the splitting rules of some tokenizers by name; no name says ours, `default` is nearest."""
    words, kinds = [], []
    for place in range(config.vocab_size):
        added = tokens["added"].get(place)
        word = added["content"] if added else tokens["words"].get(place)
        words.append(word if word is not None else f"[PAD{place}]")
        if word is None:
            kinds.append(gguf.TokenType.UNUSED)
        elif added:
            kinds.append(gguf.TokenType.CONTROL if added.get("special") else gguf.TokenType.USER_DEFINED)
        else:
            kinds.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges(tokens["merges"])
    end = config.eos_token_id[0] if isinstance(config.eos_token_id, list) else config.eos_token_id
    if config.bos_token_id is not None:
        writer.add_bos_token_id(config.bos_token_id)
    if end is not None:
        writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def _type_of(values: NDArray[np.float32], precision: str) -> gguf.GGMLQuantizationType:
    """Norms stay in float32; a matrix whose rows are no whole blocks stays in float16."""
    if values.ndim == 1:
        return gguf.GGMLQuantizationType.F32
    if precision == "q8_0" and values.shape[-1] % _BLOCK:
        return gguf.GGMLQuantizationType.F16
    return _TYPES[precision]


def _read_back(path: Path, tensors: Mapping[str, NDArray[np.float32]], precision: str) -> float:
    """Read the file by its package; the largest deviation of a tensor.

    Raises: InvalidInputError `optimization_not_alike`.
    """
    found = {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in gguf.GGUFReader(path).tensors}
    if found.keys() != tensors.keys():
        raise InvalidInputError("optimization_not_alike", reason="the file does not hold the tensors that were written")
    largest = 0.0
    for name, values in tensors.items():
        difference = found[name].reshape(values.shape) - values
        deviation = float(np.sqrt(np.mean(difference**2) / max(float(np.mean(values**2)), 1e-12)))
        largest = max(largest, deviation)
        if not deviation <= _MOST_DEVIATION[precision]:
            reason = f"{name} deviates by {deviation:.2g}, and {_MOST_DEVIATION[precision]} is allowed"
            raise InvalidInputError("optimization_not_alike", reason=reason)
    return float(f"{largest:.3g}")


def _compare_loaded(model: Any, path: Path, tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Whether transformers' own loader reads the same values out of the file.

    Raises: InvalidInputError `optimization_not_alike`.
    """
    read = {one.name: gguf.quants.dequantize(one.data, one.tensor_type) for one in gguf.GGUFReader(path).tensors}
    for name, values in _tensors(model):
        if name in tensors and not np.allclose(values, read[name].reshape(values.shape), rtol=0, atol=1e-6):
            reason = f"transformers reads {name} otherwise than the package gguf"
            raise InvalidInputError("optimization_not_alike", reason=reason)
