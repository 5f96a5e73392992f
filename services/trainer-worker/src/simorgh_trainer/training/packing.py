"""Samples, how they are packed into rows each epoch, and rows as tensors.

Shapes: B rows of a batch, T positions of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IGNORED = -100
"""The label of a position whose next token is not predicted."""
_PADDING = -1
_NUM_LENGTHS = 4


@dataclass(frozen=True)
class Samples:
    """Token ids and labels of all samples end to end; sample i lies in [offsets[i], offsets[i + 1])."""

    inputs: np.ndarray
    labels: np.ndarray
    offsets: np.ndarray

    @classmethod
    def join(cls, inputs: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> "Samples":
        """One flat array each of the samples' arrays."""
        offsets = np.zeros(len(inputs) + 1, dtype=np.int64)
        np.cumsum([len(piece) for piece in inputs], out=offsets[1:])
        empty = [np.zeros(0, dtype=np.int32)]
        return cls(np.concatenate([*inputs, *empty]), np.concatenate([*labels, *empty]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Input tokens of each sample."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class EpochPlan:
    """Which samples share a row, and in which order rows come: row i is order[offsets[i]:offsets[i + 1]]."""

    order: np.ndarray
    offsets: np.ndarray

    @property
    def num_rows(self) -> int:
        """Rows of the epoch."""
        return len(self.offsets) - 1

    def row(self, index: int) -> np.ndarray:
        """The samples of a row."""
        return self.order[self.offsets[index] : self.offsets[index + 1]]


def plan_epoch(lengths: np.ndarray, capacity: int, seed: int, epoch: int, *, packing: bool = True) -> EpochPlan:
    """Shuffle the samples, put each into the fullest row that still takes it, shuffle the rows.

    The same arguments give the same plan.
    """
    random = np.random.default_rng([seed, epoch])
    shuffled = random.permutation(len(lengths))
    rows = _best_fit(shuffled, lengths, capacity) if packing else [[int(sample)] for sample in shuffled]
    rows = [rows[index] for index in random.permutation(len(rows))]
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return EpochPlan(np.array([sample for row in rows for sample in row], dtype=np.int64), offsets)


def _best_fit(shuffled: np.ndarray, lengths: np.ndarray, capacity: int) -> list[list[int]]:
    """Open rows wait under the room they have left; bit r of `rooms` says that one with room r is there."""
    waiting: list[list[list[int]]] = [[] for _ in range(capacity + 1)]
    rooms = 0
    rows: list[list[int]] = []
    for sample in shuffled.tolist():
        length = int(lengths[sample])
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = waiting[room].pop()
            if not waiting[room]:
                rooms ^= 1 << room
        else:
            room, row = capacity, []
            rows.append(row)
        row.append(sample)
        waiting[room - length].append(row)
        rooms |= 1 << (room - length)
    return rows


@dataclass(frozen=True)
class Batch:
    """Rows as tensors on the device."""

    ids_BT: Tensor
    labels_BT: Tensor
    positions_BT: Tensor
    """Counted from 0 in each sample."""
    segments_BT: Tensor
    """Which sample each position belongs to."""
    places_N: Tensor
    """Positions whose logits are needed, rows end to end: those with a label, and in a batch of one shape some more."""
    dtype: torch.dtype
    num_labels: int
    num_tokens: int
    attended_pairs: int
    """Query-key pairs within samples: what attention must compute."""

    @property
    def mask(self) -> Tensor:
        """(B, 1, T, T), added to attention scores: 0 within a sample and not ahead, -inf elsewhere."""
        return attention_mask(self.segments_BT, self.dtype)


def build_batch(
    samples: Samples, rows: Sequence[np.ndarray], dtype: torch.dtype, device: torch.device, width: int | None = None
) -> Batch:
    """The rows' samples side by side, each blind to its neighbours, padded to the longest row.

    width: pad to this instead, and make `places_N` one of few lengths, so that many batches have the same shape.
    """
    order = np.concatenate(rows)
    begins = samples.offsets[order]
    own = samples.offsets[order + 1] - begins
    num_own = [len(row) for row in rows]
    filled = np.add.reduceat(own, np.cumsum([0, *num_own[:-1]]))
    has_one_shape, width = width is not None, width or int(filled.max())
    num_tokens = int(own.sum())
    positions = np.arange(num_tokens) - np.repeat(np.cumsum(own) - own, own)
    sources = np.repeat(begins, own) + positions
    row_starts = np.arange(len(rows)) * width - (np.cumsum(filled) - filled)
    targets = np.arange(num_tokens) + np.repeat(row_starts, filled)
    ids, labels, places_in_sample, segments = tensors = np.zeros((4, len(rows) * width), dtype=np.int64)
    labels[:], segments[:] = IGNORED, _PADDING
    ids[targets] = samples.inputs[sources]
    labels[targets] = samples.labels[sources]
    places_in_sample[targets] = positions
    segments[targets] = np.repeat(order, own)
    places = np.flatnonzero(labels != IGNORED)
    num_labels = len(places)
    if has_one_shape:
        places = np.concatenate([places, np.flatnonzero(labels == IGNORED)])[: _filled(num_labels, len(labels))]
    on_device = _to(tensors.reshape(4, len(rows), width), device)
    return Batch(
        ids_BT=on_device[0],
        labels_BT=on_device[1],
        positions_BT=on_device[2],
        segments_BT=on_device[3],
        places_N=_to(places, device),
        dtype=dtype,
        num_labels=num_labels,
        num_tokens=num_tokens,
        attended_pairs=int((own * (own + 1) // 2).sum()),
    )


def _filled(num_labels: int, num_places: int) -> int:
    """The next of the lengths that stand for all: a quarter, a half, three quarters or all of the positions."""
    step = -(-num_places // _NUM_LENGTHS)
    return min(num_places, max(1, -(-num_labels // step)) * step)


def _to(array: np.ndarray, device: torch.device) -> Tensor:
    """On the device; to a GPU from pinned memory, so that nobody waits for the copy."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def attention_mask(segments_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """The mask of a batch (B, 1, T, T), by which sample each position belongs to."""
    width = segments_BT.shape[1]
    same_BTT = segments_BT.unsqueeze(2) == segments_BT.unsqueeze(1)
    behind_TT = torch.ones(width, width, dtype=torch.bool, device=segments_BT.device).tril()
    mask_BTT = torch.zeros(same_BTT.shape, dtype=dtype, device=segments_BT.device)
    return mask_BTT.masked_fill_(~(same_BTT & behind_TT), float("-inf")).unsqueeze(1)
