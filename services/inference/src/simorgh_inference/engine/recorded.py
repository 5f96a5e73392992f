"""A step of a whole batch, recorded once and replayed: asking a GPU for a step's thousand kernels takes ten times as
long as computing them.

A recording has fixed places for so many rows and so many positions of the cache, and moves on by itself: the best token
of a row is its next input. Rows end at the same position. Recordings share the storage of the cache, so one batch at a
time stands in it.
Shapes: R rows of a recording, S its positions, H heads, D head size, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_FEWEST_POSITIONS = 256
_WARM_UPS = 2


class _FixedLayer(DynamicLayer):  # type: ignore[misc]  # transformers has no types
    """Keys and values at fixed places; all rows write the same position."""

    def __init__(self, keys_RHSD: Tensor, values_RHSD: Tensor, at: Tensor) -> None:
        super().__init__()
        self.keys, self.values, self._at = keys_RHSD, values_RHSD, at
        self.dtype, self.device, self.is_initialized = keys_RHSD.dtype, keys_RHSD.device, True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the new position; all positions, most of which the mask hides."""
        self.keys.index_copy_(2, self._at, key_states)
        self.values.index_copy_(2, self._at, value_states)
        return self.keys, self.values


@dataclass
class Recording:
    """A step for up to so many rows and positions."""

    num_positions: int
    layers: list[_FixedLayer]
    ids_R1: Tensor
    positions_R1: Tensor
    mask_R11S: Tensor
    at: Tensor
    replay: Callable[[], tuple[Tensor, Tensor]]
    """The best token of each row (R) and the logits (R, V) of its step."""

    def load(self, cache: DynamicCache, ids_B1: Tensor, positions_B1: Tensor, mask_BS: Tensor) -> None:
        """Put a batch in; what it held before is gone."""
        num_rows, length = mask_BS.shape
        for fixed, layer in zip(self.layers, cache.layers, strict=True):
            fixed.keys[:num_rows, :, :length] = layer.keys
            fixed.values[:num_rows, :, :length] = layer.values
        self.ids_R1.zero_()
        self.positions_R1.zero_()
        self.mask_R11S.zero_()
        self.ids_R1[:num_rows], self.positions_R1[:num_rows] = ids_B1, positions_B1
        self.mask_R11S[:num_rows, 0, 0, :length] = mask_BS.bool()
        self.at.fill_(length)

    def unload(self, cache: DynamicCache, num_rows: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Take the batch out into a cache of its own; ids, positions and mask."""
        for fixed, layer in zip(self.layers, cache.layers, strict=True):
            layer.keys = fixed.keys[:num_rows, :, :length].clone()
            layer.values = fixed.values[:num_rows, :, :length].clone()
        mask_BS = self.mask_R11S[:num_rows, 0, 0, :length].long()
        return self.ids_R1[:num_rows].clone(), self.positions_R1[:num_rows].clone(), mask_BS


class Recorder:
    """Makes recordings as sizes come up: both sides of a size are powers of two."""

    def __init__(self, model: Any, like: DynamicCache, num_tokens: int) -> None:
        """like: a cache of this model. num_tokens: how many positions all rows may have together."""
        self._model = model
        self._num_tokens = num_tokens
        self._like = [layer.keys for layer in like.layers]
        self._device = self._like[0].device
        # Zeros: what the mask hides is multiplied by nothing, and that must not be a number which is none.
        self._storage = [
            tuple(one.new_zeros(num_tokens * one.shape[1] * one.shape[3]) for _ in ("keys", "values"))
            for one in self._like
        ]
        self._recordings: dict[tuple[int, int], Recording] = {}
        self._pool = torch.cuda.graph_pool_handle() if self._device.type == "cuda" else None

    def get(self, num_rows: int, length: int) -> Recording | None:
        """One that takes so many rows of this length and some steps more; None for what there is no room for.

        Recording writes to the storage: nothing may stand in it.
        """
        rows = 1 << (num_rows - 1).bit_length()
        positions = max(_FEWEST_POSITIONS, 1 << (length + length // 8).bit_length())
        if rows * positions > self._num_tokens:
            return None
        if (rows, positions) not in self._recordings:
            self._recordings[rows, positions] = self._record(rows, positions)
        return self._recordings[rows, positions]

    def _record(self, rows: int, positions: int) -> Recording:
        at = torch.zeros(1, dtype=torch.int64, device=self._device)
        ids_R1, positions_R1 = torch.zeros(2, rows, 1, dtype=torch.int64, device=self._device)
        mask_R11S = torch.zeros(rows, 1, 1, positions, dtype=torch.bool, device=self._device)
        layers = [
            _FixedLayer(_view(keys, rows, positions, one), _view(values, rows, positions, one), at)
            for one, (keys, values) in zip(self._like, self._storage, strict=True)
        ]
        cache = DynamicCache()
        cache.layers = list(layers)

        def step() -> tuple[Tensor, Tensor]:
            mask_R11S.index_fill_(3, at, True)
            output = self._model(
                input_ids=ids_R1,
                position_ids=positions_R1,
                attention_mask=mask_R11S,
                past_key_values=cache,
                use_cache=True,
            )
            logits_RV = output.logits[:, -1].float()
            best_R = logits_RV.argmax(-1)
            ids_R1.copy_(best_R.unsqueeze(1))
            positions_R1.add_(1)
            at.add_(1)
            return best_R, logits_RV

        replay = step if self._pool is None else self._graph(step)
        return Recording(positions, layers, ids_R1, positions_R1, mask_R11S, at, replay)

    def _graph(self, step: Callable[[], tuple[Tensor, Tensor]]) -> Callable[[], tuple[Tensor, Tensor]]:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):  # libraries choose their kernels, which cannot be recorded
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            given = step()

        def replay() -> tuple[Tensor, Tensor]:
            graph.replay()
            return given

        return replay


def _view(flat: Tensor, rows: int, positions: int, like: Tensor) -> Tensor:
    num_heads, size = like.shape[1], like.shape[3]
    return flat[: rows * num_heads * positions * size].view(rows, num_heads, positions, size)


def takes_recording(parameters: Sequence[str]) -> bool:
    """Whether a model's forward pass is told positions and mask: what a recording moves on by."""
    return {"input_ids", "position_ids", "attention_mask", "past_key_values"} <= set(parameters)
