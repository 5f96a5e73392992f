"""Forward and backward passes of a batch: as they are written on a CPU, replayed on a GPU.

A small model asks a GPU for a thousand little kernels a step, and asking takes longer than computing. A CUDA graph asks
once: the kernels of a pass are recorded with the tensors that they read and write, and replayed. So batches have one
shape and their labels few numbers (`build_batch` with a width).
Shapes: B rows, T positions, N positions whose logits are computed, V vocabulary.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from simorgh_trainer.training.evaluate import labelled_logits
from simorgh_trainer.training.kernels import cross_entropy
from simorgh_trainer.training.model import Llama
from simorgh_trainer.training.optim import FlatWeights
from simorgh_trainer.training.packing import Batch, attention_mask

_WARM_UPS = 2


class Passes(Protocol):
    """Forward and backward."""

    def __call__(self, batch: Batch, num_labels: int) -> Tensor:
        """Add the gradient of the batch's nats, by `num_labels`, to that of the weights; the nats."""


def make_passes(model: Llama, weights: FlatWeights, *, is_replayed: bool) -> Passes:
    """is_replayed: batches have one shape, and lie on a GPU."""
    return GraphedPasses(model, weights.gradient) if is_replayed else plain_passes(model)


def plain_passes(model: Llama) -> Passes:
    """As they are written."""

    def run(batch: Batch, num_labels: int) -> Tensor:
        logits_NV, labels_N = labelled_logits(model, batch)
        nats = cross_entropy(logits_NV, labels_N)
        (nats / max(1, num_labels)).backward()
        return nats.detach()

    return run


class GraphedPasses:
    """Recorded once for each number of positions whose logits are computed, and replayed."""

    def __init__(self, model: Llama, gradient: Tensor) -> None:
        """gradient: the flat one of all learnt weights, which recording leaves zero."""
        self._model = model
        self._gradient = gradient
        self._pool = torch.cuda.graph_pool_handle()
        self._replays: dict[int, Callable[[Batch, int], Tensor]] = {}

    def __call__(self, batch: Batch, num_labels: int) -> Tensor:
        """Replay, after recording where this size was not seen yet."""
        size = len(batch.places_N)
        if size not in self._replays:
            self._replays[size] = self._record(batch)
        return self._replays[size](batch, num_labels)

    def _record(self, batch: Batch) -> Callable[[Batch, int], Tensor]:
        given = [one.clone() for one in _read(batch)]
        divisor = torch.ones((), device=batch.ids_BT.device)
        kept = self._gradient.clone()
        states = torch.get_rng_state(), torch.cuda.get_rng_state()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):  # libraries choose their kernels, which cannot be recorded
                self._pass(given, batch.dtype, divisor)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            nats = self._pass(given, batch.dtype, divisor)
        # What the trial passes drew and added is taken back: the run is to be one that never saw them.
        torch.set_rng_state(states[0])
        torch.cuda.set_rng_state(states[1])
        self._gradient.copy_(kept)

        def replay(batch: Batch, num_labels: int) -> Tensor:
            for static, one in zip(given, _read(batch), strict=True):
                static.copy_(one)
            divisor.fill_(max(1, num_labels))
            graph.replay()
            return nats.clone()

        return replay

    def _pass(self, given: list[Tensor], dtype: torch.dtype, divisor: Tensor) -> Tensor:
        ids_BT, labels_BT, positions_BT, segments_BT, places_N = given
        hidden_BTC = self._model(ids_BT, positions_BT, attention_mask(segments_BT, dtype))
        hidden_NC = hidden_BTC.reshape(-1, hidden_BTC.shape[-1]).index_select(0, places_N)
        labels_N = labels_BT.reshape(-1).index_select(0, places_N)
        nats = cross_entropy(self._model.logits(hidden_NC), labels_N)
        (nats / divisor).backward()
        return nats.detach()


def _read(batch: Batch) -> tuple[Tensor, ...]:
    """What a pass reads of a batch."""
    return batch.ids_BT, batch.labels_BT, batch.positions_BT, batch.segments_BT, batch.places_N
