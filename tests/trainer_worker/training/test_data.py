"""Rows held out, and what the loss per character divides by."""

import math

import torch

from simorgh_trainer.training.data import Row, hold_out
from simorgh_trainer.training.evaluate import HeldOut, evaluate, num_characters
from simorgh_trainer.training.formats.markers import Markers
from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.methods import sft
from simorgh_trainer.training.methods.pretrain import encode_rows, learnt_texts
from simorgh_trainer.training.model import Llama, ModelShape
from simorgh_trainer.training.tokenizer import train_tokenizer

ROWS: list[Row] = [(("user", f"پرسش {i // 2}"), ("assistant", f"پاسخ {i % 20}")) for i in range(40)]


class TestHoldOut:
    def test_rows_that_share_a_text_stay_together(self) -> None:
        train, held = hold_out(ROWS, 0.25, seed=3)
        assert len(train) + len(held) == 40
        assert 0 < len(held) <= 10
        assert not {text for row in train for _, text in row} & {text for row in held for _, text in row}

    def test_seed_decides(self) -> None:
        assert hold_out(ROWS, 0.25, seed=3) == hold_out(ROWS, 0.25, seed=3)
        assert hold_out(ROWS, 0.25, seed=3) != hold_out(ROWS, 0.25, seed=4)


class TestEvaluate:
    def test_characters_count_each_end_once(self) -> None:
        row = (("user", "سلام"), ("assistant", "درود!"))
        assert num_characters(learnt_texts([row])) == 4 + 1 + 5 + 1
        assert num_characters(sft.learnt_texts([row])) == 5 + 1, "fine-tuning counts what it learns"

    def test_model_that_knows_nothing_costs_the_logarithm_of_its_vocabulary(self) -> None:
        """R-TRAIN-5: per character it is the labelled tokens' cost over characters and ends."""
        tokenizer = train_tokenizer([text for row in ROWS for _, text in row], 300)
        model = Llama(ModelShape(16, 1, 2, 2, 16, tokenizer.get_vocab_size(), 128))
        with torch.no_grad():
            model.embedding.weight.zero_()
        samples = encode_rows(ROWS, Markers(tokenizer), 24)
        held_out = HeldOut(samples, num_characters(learnt_texts(ROWS)), len(ROWS))
        figures = evaluate(model, held_out, 24, Hardware(torch.device("cpu"), torch.float32, 1))
        num_labels = int((samples.labels >= 0).sum())
        nats = math.log(tokenizer.get_vocab_size())
        assert math.isclose(figures["eval_loss"], nats, rel_tol=1e-5)
        assert math.isclose(figures["perplexity"], tokenizer.get_vocab_size(), rel_tol=1e-4)
        characters = num_characters(learnt_texts(ROWS))
        assert math.isclose(figures["eval_loss_per_char"], nats * num_labels / characters, rel_tol=1e-5)
        assert model.training
