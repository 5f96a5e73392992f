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
    mask_B1TT: Tensor
    """Added to attention scores: 0 within a sample and not ahead, -inf elsewhere."""
    num_labels: int
    num_tokens: int
    attended_pairs: int
    """Query-key pairs within samples: what attention must compute."""


def build_batch(samples: Samples, rows: Sequence[np.ndarray], dtype: torch.dtype, device: torch.device) -> Batch:
    """The rows' samples side by side, each blind to its neighbours, padded to the longest row."""
    lengths = samples.lengths
    width = max(int(lengths[row].sum()) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    labels = np.full((len(rows), width), IGNORED, dtype=np.int64)
    positions = np.zeros((len(rows), width), dtype=np.int64)
    segments = np.full((len(rows), width), _PADDING, dtype=np.int64)
    for index, row in enumerate(rows):
        start = 0
        for sample in row:
            begin, end = samples.offsets[sample], samples.offsets[sample + 1]
            stop = start + int(end - begin)
            ids[index, start:stop] = samples.inputs[begin:end]
            labels[index, start:stop] = samples.labels[begin:end]
            positions[index, start:stop] = np.arange(stop - start)
            segments[index, start:stop] = sample
            start = stop
    own = np.concatenate([lengths[row] for row in rows])
    segments_BT = torch.from_numpy(segments).to(device)
    return Batch(
        ids_BT=torch.from_numpy(ids).to(device),
        labels_BT=torch.from_numpy(labels).to(device),
        positions_BT=torch.from_numpy(positions).to(device),
        mask_B1TT=_attention_mask(segments_BT, dtype),
        num_labels=int((labels != IGNORED).sum()),
        num_tokens=int(own.sum()),
        attended_pairs=int((own * (own + 1) // 2).sum()),
    )


def _attention_mask(segments_BT: Tensor, dtype: torch.dtype) -> Tensor:
    width = segments_BT.shape[1]
    same_BTT = segments_BT.unsqueeze(2) == segments_BT.unsqueeze(1)
    behind_TT = torch.ones(width, width, dtype=torch.bool, device=segments_BT.device).tril()
    mask_BTT = torch.zeros(same_BTT.shape, dtype=dtype, device=segments_BT.device)
    return mask_BTT.masked_fill_(~(same_BTT & behind_TT), float("-inf")).unsqueeze(1)
