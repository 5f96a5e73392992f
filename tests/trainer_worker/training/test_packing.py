"""Rows of an epoch, and samples longer than a row."""

import numpy as np

from simorgh_trainer.training.formats.markers import Markers
from simorgh_trainer.training.methods import sft
from simorgh_trainer.training.methods.pretrain import encode_rows
from simorgh_trainer.training.packing import IGNORED, plan_epoch
from simorgh_trainer.training.tokenizer import END, ROLE_MARKERS, encode_texts, special_id, train_tokenizer

LENGTHS = np.random.default_rng(2).lognormal(2.7, 0.6, 2_000).clip(3, 128).astype(np.int64)


class TestPlanEpoch:
    def test_each_sample_once_and_no_row_too_long(self) -> None:
        plan = plan_epoch(LENGTHS, 128, seed=1, epoch=4)
        assert sorted(plan.order.tolist()) == list(range(2_000))
        filled = [LENGTHS[plan.row(index)].sum() for index in range(plan.num_rows)]
        assert max(filled) <= 128

    def test_rows_are_nearly_full(self) -> None:
        plan = plan_epoch(LENGTHS, 128, seed=1, epoch=4)
        assert plan.num_rows <= 1.02 * np.ceil(LENGTHS.sum() / 128)

    def test_seed_and_epoch_decide(self) -> None:
        plan = plan_epoch(LENGTHS, 128, seed=1, epoch=4)
        again = plan_epoch(LENGTHS, 128, seed=1, epoch=4)
        assert (again.order == plan.order).all()
        assert (again.offsets == plan.offsets).all()
        for seed, epoch in ((1, 5), (2, 4)):
            assert (plan_epoch(LENGTHS, 128, seed=seed, epoch=epoch).order != plan.order).any()

    def test_one_sample_a_row_without_packing(self) -> None:
        plan = plan_epoch(LENGTHS, 128, seed=1, epoch=0, packing=False)
        assert plan.num_rows == 2_000


class TestEncodeRows:
    def test_markers_are_given_and_ends_predicted(self) -> None:
        tokenizer = train_tokenizer(["حال شما"] * 3, 300)
        samples = encode_rows([(("user", "حال"), ("assistant", "شما"))], Markers(tokenizer), 128)
        ids, end = samples.inputs.tolist(), special_id(tokenizer, END)
        labels = samples.labels.tolist()
        assert ids[0] == special_id(tokenizer, ROLE_MARKERS["user"])
        assert labels[-1] == end
        assert labels.count(end) == 2
        assert labels.count(IGNORED) == 1  # the assistant's marker
        assert ids[labels.index(IGNORED) + 1] == special_id(tokenizer, ROLE_MARKERS["assistant"])

    def test_long_row_loses_no_label(self) -> None:
        tokenizer = train_tokenizer(["حال شما"] * 3, 300)
        row = (("text", "حال شما چطور است؟ " * 20),)
        whole = encode_rows([row], Markers(tokenizer), 10_000)
        pieces = encode_rows([row], Markers(tokenizer), 32)
        assert len(whole) == 1
        assert len(pieces) > 3
        assert pieces.lengths.max() == 32
        assert pieces.labels.tolist() == whole.labels.tolist()


class TestEncodeAnswers:
    """R-TRAIN-3: loss on the answer only."""

    def test_only_the_assistants_words_and_ends_are_predicted(self) -> None:
        tokenizer = train_tokenizer(["حال شما"] * 3, 300)
        row = (("system", "حال"), ("user", "حال"), ("assistant", "شما"), ("user", "شما"), ("assistant", "حال"))
        samples = sft.encode_rows([row], Markers(tokenizer), 128)
        learnt = [token for token in samples.labels.tolist() if token != IGNORED]
        (first,), (second,) = ([ids] for ids in encode_texts(tokenizer, ["شما", "حال"]))
        end = special_id(tokenizer, END)
        assert learnt == [*first, end, *second, end]
        assert samples.lengths.tolist() == encode_rows([row], Markers(tokenizer), 128).lengths.tolist()

    def test_a_piece_without_an_answer_is_left_out(self) -> None:
        tokenizer = train_tokenizer(["حال شما"] * 3, 300)
        row = (("user", "حال شما چطور است؟ " * 20), ("assistant", "شما"))
        pieces = sft.encode_rows([row], Markers(tokenizer), 32)
        assert len(pieces) == 1
        assert (pieces.labels != IGNORED).sum() == len(encode_texts(tokenizer, ["شما"])[0]) + 1
