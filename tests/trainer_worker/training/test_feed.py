"""Batches as a run takes them: made ahead or not, they are the same, and the state moves when they are taken."""

from typing import Any

import numpy as np
import pytest
import torch

from simorgh_shared.schemas.training import TrainSpec
from simorgh_trainer.training.checkpoint import Progress, TrainingState
from simorgh_trainer.training.feed import Feed
from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.packing import IGNORED, Batch, Samples, build_batch, plan_epoch

CPU = torch.device("cpu")
SPEC = TrainSpec(sequence_length=32, batch_size=3, gradient_accumulation=2)


@pytest.fixture
def samples() -> Samples:
    random = np.random.default_rng(5)
    ids = [random.integers(0, 90, length).astype(np.int32) for length in random.integers(3, 33, 60)]
    labels = [np.where(random.random(len(one)) < 0.4, IGNORED, one).astype(np.int32) for one in ids]
    return Samples.join(ids, labels)


def make_feed(samples: Samples) -> tuple[Feed, TrainingState]:
    none: Any = None
    state = TrainingState(none, none, Progress(), plan_epoch(samples.lengths, 32, SPEC.seed, 0), None)
    return Feed(SPEC, samples, Hardware(CPU, torch.float32, 1), state), state


def place(state: TrainingState) -> tuple[int, int]:
    return state.progress.epoch, state.progress.next_row


def test_what_is_made_ahead_is_the_same_and_moves_nothing(samples: Samples) -> None:
    """R-TRAIN-6: a checkpoint between two steps knows nothing of what was made for the next one."""
    (plain, one), (ahead, other) = make_feed(samples), make_feed(samples)
    ahead._is_ahead = True  # as on a GPU
    for _ in range(12):
        before = place(other)
        ahead.prepare()
        assert place(other) == before
        for got, wanted in zip(ahead.take(), plain.take(), strict=True):
            assert torch.equal(got.ids_BT, wanted.ids_BT)
            assert torch.equal(got.labels_BT, wanted.labels_BT)
        assert place(other) == place(one)
        assert (other.plan.order == one.plan.order).all()
    assert other.progress.epoch > 0


def test_a_processor_makes_none_ahead(samples: Samples) -> None:
    feed, _ = make_feed(samples)
    feed.prepare()
    assert feed._ahead is None


def one_by_one(samples: Samples, rows: list[np.ndarray]) -> dict[str, torch.Tensor]:
    """The tensors of a batch, written sample by sample."""
    width = max(int(samples.lengths[row].sum()) for row in rows)
    ids, positions = torch.zeros(2, len(rows), width, dtype=torch.int64)
    labels, segments = torch.full((len(rows), width), IGNORED), torch.full((len(rows), width), -1)
    for index, row in enumerate(rows):
        start = 0
        for sample in row:
            begin, end = samples.offsets[sample], samples.offsets[sample + 1]
            part = slice(start, start + int(end - begin))
            ids[index, part] = torch.from_numpy(samples.inputs[begin:end]).long()
            labels[index, part] = torch.from_numpy(samples.labels[begin:end]).long()
            positions[index, part] = torch.arange(int(end - begin))
            segments[index, part] = int(sample)
            start = part.stop
    return {"ids_BT": ids, "labels_BT": labels, "positions_BT": positions, "segments_BT": segments}


class TestBuildBatch:
    def test_samples_side_by_side(self, samples: Samples) -> None:
        plan = plan_epoch(samples.lengths, 32, 1, 0)
        rows = [plan.row(index) for index in range(7)]
        batch = build_batch(samples, rows, torch.float32, CPU)
        for name, wanted in one_by_one(samples, rows).items():
            assert torch.equal(getattr(batch, name), wanted), name
        labelled = (batch.labels_BT.reshape(-1) != IGNORED).nonzero().squeeze(1)
        assert torch.equal(batch.places_N, labelled)
        assert batch.num_labels == len(labelled)
        assert batch.num_tokens == samples.lengths[np.concatenate(rows)].sum()
        allowed = batch.mask[:, 0] == 0
        assert batch.attended_pairs == int((allowed & (batch.segments_BT >= 0).unsqueeze(2)).sum())

    def test_batches_of_one_shape(self, samples: Samples) -> None:
        """What is recorded for a GPU: the same width, few lengths, every label, no place twice."""
        plan = plan_epoch(samples.lengths, 32, 1, 0)
        seen = set()
        for index in range(plan.num_rows - 2):
            rows = [plan.row(at) for at in (index, index + 1)]
            exact = build_batch(samples, rows, torch.float32, CPU)
            batch = build_batch(samples, rows, torch.float32, CPU, width=32)
            assert batch.ids_BT.shape == (2, 32)
            assert (batch.num_labels, batch.num_tokens) == (exact.num_labels, exact.num_tokens)
            assert learnt(batch) == learnt(exact)
            assert len(set(batch.places_N.tolist())) == len(batch.places_N)
            seen.add(len(batch.places_N))
        assert seen <= {16, 32, 48, 64}
        assert len(seen) > 1


def learnt(batch: Batch) -> list[int]:
    """The labels at the batch's places that count."""
    return [label for label in batch.labels_BT.reshape(-1)[batch.places_N].tolist() if label != IGNORED]
