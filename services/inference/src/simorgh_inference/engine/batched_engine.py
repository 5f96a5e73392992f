"""The engine for GPUs: any causal model that transformers loads, a token for all requests in one forward pass.

A GPU takes as long for one row as for thirty. Requests of the same adapter are rows of one batch: their caches end at
the same place, and what is missing at the beginning is masked.
Shapes: B rows, T new positions, S positions of the cache, V vocabulary.
"""

import inspect
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from simorgh_inference.engine import transformers_engine
from simorgh_inference.engine.adapters import Adapter
from simorgh_inference.engine.intake import GREEDY_BELOW
from simorgh_inference.engine.protocol import Piece
from simorgh_inference.engine.recorded import Recorder, Recording, takes_recording
from simorgh_inference.engine.transformers_engine import TransformersEngine, said

_PREFILL_TOKENS = 8_192  # padded ones that are read in one pass: those who are being answered wait for it
_MOST_ROWS = 256
_PLAIN = 0
"""The key of the batch that goes through no adapter: the one whose steps are recorded."""


@dataclass
class _Rows:
    """Requests that are answered together."""

    sequences: list[transformers_engine.Sequence]
    pads: list[int]
    """Positions of the cache before each one's first."""
    ids_B1: Tensor
    positions_B1: Tensor
    mask_BS: Tensor
    cache: DynamicCache
    standing: Recording | None = None
    """Where it stands while its steps are replayed; the tensors above are old then."""
    length: int = 0

    def stand_in(self, recording: Recording) -> None:
        """Go on by replays."""
        recording.load(self.cache, self.ids_B1, self.positions_B1, self.mask_BS)
        self.standing, self.length = recording, self.mask_BS.shape[1]

    def leave_recording(self) -> None:
        """Take all back."""
        if self.standing is not None:
            taken = self.standing.unload(self.cache, len(self.sequences), self.length)
            self.ids_B1, self.positions_B1, self.mask_BS = taken
            self.standing = None

    def keep(self, rows: Sequence[int]) -> None:
        """Drop the others, and what no row has at the beginning."""
        self.leave_recording()
        at = torch.tensor(rows, device=self.ids_B1.device)
        self.sequences = [self.sequences[row] for row in rows]
        first = min(self.pads[row] for row in rows)
        self.pads = [self.pads[row] - first for row in rows]
        self.ids_B1, self.positions_B1 = self.ids_B1[at], self.positions_B1[at]
        self.mask_BS = self.mask_BS[at, first:]
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[at, :, first:], layer.values[at, :, first:]

    def join(self, others: "_Rows") -> None:
        """Take the others in; the shorter ones are filled up at the beginning."""
        self.leave_recording()
        ours, theirs = self.mask_BS.shape[1], others.mask_BS.shape[1]
        more, more_of_others = max(0, theirs - ours), max(0, ours - theirs)
        self.pads = [*(pad + more for pad in self.pads), *(pad + more_of_others for pad in others.pads)]
        self.sequences = [*self.sequences, *others.sequences]
        self.ids_B1 = torch.cat((self.ids_B1, others.ids_B1))
        self.positions_B1 = torch.cat((self.positions_B1, others.positions_B1))
        masks = functional.pad(self.mask_BS, (more, 0)), functional.pad(others.mask_BS, (more_of_others, 0))
        self.mask_BS = torch.cat(masks)
        for layer, other in zip(self.cache.layers, others.cache.layers, strict=True):
            layer.keys = _joined(layer.keys, more, other.keys, more_of_others)
            layer.values = _joined(layer.values, more, other.values, more_of_others)


class BatchedEngine(TransformersEngine):
    """One model and the requests that it works on, row by row of a batch."""

    def __init__(self, folder: Path, device: str, precision: str, cache_bytes: int) -> None:
        super().__init__(folder, device, torch.float32 if precision == "f32" else torch.bfloat16)
        self._cache_bytes = cache_bytes
        takes = inspect.signature(self._model.forward).parameters
        self._options = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        self._takes_positions = "position_ids" in takes
        self._is_recorded = takes_recording(list(takes)) and device != "cpu"
        self._recorder: Recorder | None = None
        self._batches: dict[int, _Rows] = {}
        self._bytes_a_token: int | None = None
        """Of the cache; known with the first request. 0: its layers are of a kind whose rows cannot be joined."""

    @property
    def cache_use(self) -> float | None:
        """What of the pool is reserved."""
        return min(1.0, self._reserved(self._running()) / self._cache_bytes)

    @torch.inference_mode()
    def step(self) -> list[Piece]:
        """A token for each request that is being answered, and for those that there is room to begin with."""
        if self._bytes_a_token == 0:
            return super().step()
        pieces = [piece for key in list(self._batches) for piece in self._go_on(key)]
        for adapter, sequences in self._admitted():
            pieces += self._begin(adapter, sequences)
        for piece in pieces:
            if "finish" in piece:
                self._active.pop(piece["id"], None)
        return pieces

    def _go_on(self, key: int) -> list[Piece]:
        rows = self._batches[key]
        kept = [at for at, sequence in enumerate(rows.sequences) if self._is_wanted(sequence)]
        if not kept:
            del self._batches[key]
            return []
        # Rows that nobody wants any more cost a replay nothing; taking them out costs a copy of the cache.
        if len(kept) < len(rows.sequences) and (rows.standing is None or 2 * len(kept) <= len(rows.sequences)):
            rows.keep(kept)
        if self._is_recorded and key == _PLAIN and self._stand(rows):
            return self._replay(rows)
        rows.mask_BS = functional.pad(rows.mask_BS, (0, 1), value=1)
        logits_BV = self._forward(rows, rows.sequences[0].adapter)
        return self._say(rows, logits_BV)

    def _stand(self, rows: _Rows) -> bool:
        """Whether its next step can be replayed; a recording that it outgrows is left for a larger one."""
        if rows.standing is not None and rows.length < rows.standing.num_positions:
            return True
        rows.leave_recording()
        if self._adapters is not None:
            self._adapters.using = None
        try:
            if self._recorder is None:
                num_tokens = self._cache_bytes // (self._bytes_a_token or 1)
                self._recorder = Recorder(self._model, rows.cache, num_tokens)
            recording = self._recorder.get(len(rows.sequences), rows.mask_BS.shape[1])
        except RuntimeError as error:  # the model does what cannot be recorded, or there is no memory for its cache
            logging.getLogger(__name__).warning("steps are not recorded: %s", error)
            self._is_recorded, recording = False, None
        if recording is None:
            return False
        rows.stand_in(recording)
        return True

    def _replay(self, rows: _Rows) -> list[Piece]:
        assert rows.standing is not None
        best_R, logits_RV = rows.standing.replay()
        rows.length += 1
        num_rows = len(rows.sequences)
        logits_BV = logits_RV[:num_rows]
        tokens_B = _choose(logits_BV, rows.sequences, best_R[:num_rows])
        if tokens_B.data_ptr() != best_R.data_ptr():
            rows.standing.ids_R1[:num_rows] = tokens_B.unsqueeze(1)
        return self._told(rows, tokens_B, logits_BV)

    def _begin(self, adapter: Adapter | None, sequences: list[transformers_engine.Sequence]) -> list[Piece]:
        """Read prompts, and say the first token of each."""
        longest = max(len(sequence.next_ids) for sequence in sequences)
        pads = [longest - len(sequence.next_ids) for sequence in sequences]
        prompts = [[0] * pad + sequence.next_ids for pad, sequence in zip(pads, sequences, strict=True)]
        mask_BT = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads], device=self._device)
        ids_BT = torch.tensor(prompts, device=self._device)
        positions_BT = (mask_BT.cumsum(-1) - 1).clamp(min=0)
        rows = _Rows(sequences, pads, ids_BT, positions_BT, mask_BT, DynamicCache(config=self._model.config))
        logits_BV = self._forward(rows, adapter)
        rows.positions_B1 = rows.positions_B1[:, -1:]
        for sequence in sequences:
            sequence.past = rows
        if self._bytes_a_token is None:
            self._bytes_a_token = _bytes_a_token(rows.cache)
        if self._bytes_a_token == 0:
            return self._apart(sequences)
        pieces = self._say(rows, logits_BV)
        key = _PLAIN if adapter is None else id(adapter)
        if key not in self._batches:
            self._batches[key] = rows
            return pieces
        others = self._batches[key]
        kept = [at for at, one in enumerate(others.sequences) if self._is_wanted(one)]
        if len(kept) == 0:
            self._batches[key] = rows
            return pieces
        if len(kept) < len(others.sequences):
            others.keep(kept)
        others.join(rows)
        return pieces

    def _apart(self, sequences: Iterable[transformers_engine.Sequence]) -> list[Piece]:
        """Begin anew with a cache for each."""
        for sequence in sequences:
            sequence.past = None
        return [self._advance(sequence) for sequence in sequences]

    def _forward(self, rows: _Rows, adapter: Adapter | None) -> Tensor:
        """Logits (B, V) of the last position, in float32."""
        if self._adapters is not None:
            self._adapters.using = adapter
        options: dict[str, Any] = dict(self._options)
        if any(rows.pads):  # without padding the kernels need no mask
            options["attention_mask"] = rows.mask_BS
        if self._takes_positions:
            options["position_ids"] = rows.positions_B1
        output = self._model(input_ids=rows.ids_B1, past_key_values=rows.cache, use_cache=True, **options)
        logits_BV: Tensor = output.logits[:, -1].float()
        return logits_BV

    def _say(self, rows: _Rows, logits_BV: Tensor) -> list[Piece]:
        tokens_B = _choose(logits_BV, rows.sequences, logits_BV.argmax(-1))
        rows.ids_B1, rows.positions_B1 = tokens_B.unsqueeze(1), rows.positions_B1[:, -1:] + 1
        return self._told(rows, tokens_B, logits_BV)

    def _told(self, rows: _Rows, tokens_B: Tensor, logits_BV: Tensor) -> list[Piece]:
        told = zip(rows.sequences, tokens_B.tolist(), logits_BV, strict=True)
        return [said(one.answer, token, logits_V) for one, token, logits_V in told if self._is_wanted(one)]

    def _admitted(self) -> list[tuple[Adapter | None, list[transformers_engine.Sequence]]]:
        """Those who wait and find room, by adapter, in their order; at least one where nobody is answered."""
        taken = self._running()
        fresh: dict[int, list[transformers_engine.Sequence]] = {}
        longest = 0
        for sequence in self._active.values():
            if sequence.past is not None:
                continue
            longest = max(longest, len(sequence.next_ids))
            num_fresh = sum(map(len, fresh.values())) + 1
            is_first = not taken
            if not is_first and (
                len(taken) >= _MOST_ROWS
                or (num_fresh > 1 and longest * num_fresh > _PREFILL_TOKENS)
                or self._reserved([*taken, sequence]) > self._cache_bytes
                or self._bytes_a_token is None
            ):
                break
            taken.append(sequence)
            fresh.setdefault(id(sequence.adapter), []).append(sequence)
        return [(sequences[0].adapter, sequences) for sequences in fresh.values()]

    def _running(self) -> list[transformers_engine.Sequence]:
        return [one for rows in self._batches.values() for one in rows.sequences if self._is_wanted(one)]

    def _is_wanted(self, sequence: transformers_engine.Sequence) -> bool:
        return self._active.get(sequence.answer.request["id"]) is sequence

    def _reserved(self, sequences: Sequence[transformers_engine.Sequence]) -> int:
        """Bytes of the cache when all of them have answered as long as they may."""
        longest = max((len(one.answer.prompt) + one.answer.limit for one in sequences), default=0)
        return longest * len(sequences) * (self._bytes_a_token or 0)


def _choose(logits_BV: Tensor, sequences: Sequence[transformers_engine.Sequence], best_B: Tensor) -> Tensor:
    """The next token of each row: the best one at temperature 0, else drawn from its nucleus."""
    drawn = [at for at, one in enumerate(sequences) if one.answer.request["temperature"] >= GREEDY_BELOW]
    if not drawn:
        return best_B
    tokens_B = best_B.clone()
    requests = [sequences[at].answer.request for at in drawn]
    limits = torch.tensor([[one["temperature"], one["top_p"]] for one in requests], device=logits_BV.device)
    probabilities_BV = torch.softmax(logits_BV[drawn] / limits[:, :1], dim=-1)
    sorted_BV, order_BV = probabilities_BV.sort(descending=True)
    before_BV = sorted_BV.cumsum(-1) - sorted_BV
    kept_BV = sorted_BV.masked_fill(before_BV >= limits[:, 1:], 0.0)
    kept_BV[:, 0] = sorted_BV[:, 0]  # the smallest nuclei are 0 in float32
    for at, kept_V, order_V in zip(drawn, kept_BV, order_BV, strict=True):
        tokens_B[at] = order_V[torch.multinomial(kept_V, 1, generator=sequences[at].generator)[0]]
    return tokens_B


def _joined(ours: Tensor, more: int, theirs: Tensor, more_of_theirs: int) -> Tensor:
    """Two layers' keys or values (B, H, S, D), filled up at the beginning."""
    return torch.cat((functional.pad(ours, (0, 0, more, 0)), functional.pad(theirs, (0, 0, more_of_theirs, 0))))


def _bytes_a_token(cache: DynamicCache) -> int:
    """What a position takes in all layers; 0 for caches with other layers than those that only grow."""
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        return 0
    return sum(2 * layer.keys.shape[1] * layer.keys.shape[3] * layer.keys.element_size() for layer in cache.layers)
