"""A compact Llama whose weights are those of Hugging Face's LlamaForCausalLM.

Query, key and value share one product, and so do gate and up: small models are bound by calls, not by arithmetic.
Shapes: B rows, T positions, C hidden size, H heads, D head size, N tokens with a label, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from simorgh_shared.schemas.training import ModelPreset
from simorgh_trainer.training.kernels import attention, dropout, rms_norm, rotate

NORM_EPSILON = 1e-5
INITIAL_STD = 0.02


@dataclass(frozen=True)
class ModelShape:
    """All that decides the sizes of the weights and the meaning of positions."""

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    intermediate_size: int
    vocab_size: int
    max_positions: int
    rope_theta: float = 10_000.0
    norm_epsilon: float = NORM_EPSILON
    is_tied: bool = True
    """Whether the output projection is the embedding."""

    @classmethod
    def from_preset(cls, preset: ModelPreset, vocab_size: int, max_positions: int) -> "ModelShape":
        """The preset with the vocabulary that the tokenizer really has."""
        return cls(
            preset.hidden_size,
            preset.num_layers,
            preset.num_heads,
            preset.num_kv_heads,
            preset.intermediate_size,
            vocab_size,
            max_positions,
        )

    @property
    def head_size(self) -> int:
        """Channels of a head."""
        return self.hidden_size // self.num_heads


class LayerCache:
    """Keys and values (B, H, S, D) that one layer has computed: generation adds a position a step."""

    def __init__(self) -> None:
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def add(self, keys_BHTD: Tensor, values_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """Those of the new positions, behind the earlier ones."""
        if self._keys is not None and self._values is not None:
            keys_BHTD = torch.cat((self._keys, keys_BHTD), dim=2)
            values_BHTD = torch.cat((self._values, values_BHTD), dim=2)
        self._keys, self._values = keys_BHTD, values_BHTD
        return keys_BHTD, values_BHTD


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x_BTC: Tensor) -> Tensor:
        return rms_norm(x_BTC, self.weight, self.epsilon)


class Block(nn.Module):
    """Attention and feed-forward, each behind a norm and added to the residual stream."""

    def __init__(self, shape: ModelShape, dropout_probability: float) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_size = (
            shape.num_heads,
            shape.num_kv_heads,
            shape.head_size,
        )
        self.dropout = dropout_probability
        qkv_size = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_size
        self.attention_norm = RMSNorm(shape.hidden_size, shape.norm_epsilon)
        self.qkv = nn.Linear(shape.hidden_size, qkv_size, bias=False)
        self.out = nn.Linear(shape.num_heads * shape.head_size, shape.hidden_size, bias=False)
        self.feed_forward_norm = RMSNorm(shape.hidden_size, shape.norm_epsilon)
        self.gate_up = nn.Linear(shape.hidden_size, 2 * shape.intermediate_size, bias=False)
        self.down = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(
        self, x_BTC: Tensor, rope: tuple[Tensor, Tensor], mask_B1TT: Tensor, cache: LayerCache | None = None
    ) -> Tensor:
        x_BTC = x_BTC + self._drop(self._attend(self.attention_norm(x_BTC), rope, mask_B1TT, cache))
        gate, up = self.gate_up(self.feed_forward_norm(x_BTC)).chunk(2, dim=-1)
        y_BTC: Tensor = x_BTC + self._drop(self.down(functional.silu(gate) * up))
        return y_BTC

    def _attend(
        self, x_BTC: Tensor, rope: tuple[Tensor, Tensor], mask_B1TT: Tensor, cache: LayerCache | None
    ) -> Tensor:
        rows, positions, _ = x_BTC.shape
        qkv = self.qkv(x_BTC).view(rows, positions, -1, self.head_size).transpose(1, 2)
        # Split, not sliced: going back through slices fills whole tensors with zeros and adds them.
        qk, values = qkv.split((self.num_heads + self.num_kv_heads, self.num_kv_heads), dim=1)
        queries, keys = rotate(qk, *rope).split((self.num_heads, self.num_kv_heads), dim=1)
        if cache is not None:
            keys, values = cache.add(keys, values)
        if self.num_kv_heads != self.num_heads:
            shared_by = self.num_heads // self.num_kv_heads
            keys, values = keys.repeat_interleave(shared_by, 1), values.repeat_interleave(shared_by, 1)
        y_BHTD = attention(queries, keys, values, mask_B1TT)
        y_BTC: Tensor = self.out(y_BHTD.transpose(1, 2).reshape(rows, positions, -1))
        return y_BTC

    def _drop(self, x_BTC: Tensor) -> Tensor:
        return dropout(x_BTC, self.dropout) if self.dropout and self.training else x_BTC


class Llama(nn.Module):
    """Token ids to logits; the output projection is the embedding unless the shape says otherwise."""

    rope_cos: Tensor
    rope_sin: Tensor

    def __init__(self, shape: ModelShape, dropout_probability: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout_probability
        self.embedding = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.blocks = nn.ModuleList(Block(shape, dropout_probability) for _ in range(shape.num_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.norm_epsilon)
        self.head = None if shape.is_tied else nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        cos, sin = _rope_tables(shape)
        self.register_buffer("rope_cos", cos, persistent=False)
        self.register_buffer("rope_sin", sin, persistent=False)

    def initialise(self, seed: int) -> None:
        """Draw fresh weights; those that write to the residual stream start smaller (Source: GPT-2 report)."""
        generator = torch.Generator().manual_seed(seed)
        residual_std = INITIAL_STD / (2 * self.shape.num_layers) ** 0.5
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.dim() == 1:
                    parameter.fill_(1.0)
                    continue
                std = residual_std if name.endswith(("out.weight", "down.weight")) else INITIAL_STD
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)

    def forward(
        self,
        ids_BT: Tensor,
        positions_BT: Tensor,
        mask_B1TT: Tensor,
        caches: Sequence[LayerCache | None] | None = None,
    ) -> Tensor:
        """Hidden states (B, T, C) after the last norm; `logits` projects those that are needed.

        mask_B1TT: added to the attention scores, in the weights' type: 0 where a position may look, -inf elsewhere.
        caches: one a layer, where positions come in several calls; the mask is (B, 1, T, S) then, over all S so far.
        """
        x_BTC = self.embedding(ids_BT)
        x_BTC = dropout(x_BTC, self.dropout) if self.dropout and self.training else x_BTC
        rope = (self.rope_cos[positions_BT].unsqueeze(1), self.rope_sin[positions_BT].unsqueeze(1))
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x_BTC = block(x_BTC, rope, mask_B1TT, cache)
        hidden_BTC: Tensor = self.norm(x_BTC)
        return hidden_BTC

    def logits(self, hidden_NC: Tensor) -> Tensor:
        """Scores of the next token (N, V)."""
        return functional.linear(hidden_NC, self.embedding.weight if self.head is None else self.head.weight)


def _rope_tables(shape: ModelShape) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine of each position (positions, D). Source: RoFormer, in Llama's half-split layout."""
    half = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
    angles = torch.outer(torch.arange(shape.max_positions, dtype=torch.float32), shape.rope_theta**-half)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def to_hugging_face(weights: Mapping[str, Tensor], shape: ModelShape) -> dict[str, Tensor]:
    """Our weights under LlamaForCausalLM's names, the joint products taken apart."""
    query_size, kv_size = shape.num_heads * shape.head_size, shape.num_kv_heads * shape.head_size
    named = {
        "model.embed_tokens.weight": weights["embedding.weight"],
        "model.norm.weight": weights["norm.weight"],
    } | ({} if shape.is_tied else {"lm_head.weight": weights["head.weight"]})
    for index in range(shape.num_layers):
        ours, theirs = f"blocks.{index}.", f"model.layers.{index}."
        query, key, value = weights[ours + "qkv.weight"].split([query_size, kv_size, kv_size])
        gate, up = weights[ours + "gate_up.weight"].chunk(2)
        named |= {
            theirs + "input_layernorm.weight": weights[ours + "attention_norm.weight"],
            theirs + "self_attn.q_proj.weight": query,
            theirs + "self_attn.k_proj.weight": key,
            theirs + "self_attn.v_proj.weight": value,
            theirs + "self_attn.o_proj.weight": weights[ours + "out.weight"],
            theirs + "post_attention_layernorm.weight": weights[ours + "feed_forward_norm.weight"],
            theirs + "mlp.gate_proj.weight": gate,
            theirs + "mlp.up_proj.weight": up,
            theirs + "mlp.down_proj.weight": weights[ours + "down.weight"],
        }
    return {name: tensor.contiguous() for name, tensor in named.items()}


def from_hugging_face(named: Mapping[str, Tensor], shape: ModelShape) -> dict[str, Tensor]:
    """LlamaForCausalLM's weights under our names.

    Raises: KeyError for a weight that is missing.
    """
    weights = {
        "embedding.weight": named["model.embed_tokens.weight"],
        "norm.weight": named["model.norm.weight"],
    } | ({} if shape.is_tied else {"head.weight": named["lm_head.weight"]})
    for index in range(shape.num_layers):
        ours, theirs = f"blocks.{index}.", f"model.layers.{index}."
        attention, feed_forward = theirs + "self_attn.", theirs + "mlp."
        weights |= {
            ours + "attention_norm.weight": named[theirs + "input_layernorm.weight"],
            ours + "qkv.weight": torch.cat([named[f"{attention}{part}_proj.weight"] for part in "qkv"]),
            ours + "out.weight": named[attention + "o_proj.weight"],
            ours + "feed_forward_norm.weight": named[theirs + "post_attention_layernorm.weight"],
            ours + "gate_up.weight": torch.cat([named[f"{feed_forward}{part}_proj.weight"] for part in ("gate", "up")]),
            ours + "down.weight": named[feed_forward + "down_proj.weight"],
        }
    return weights
