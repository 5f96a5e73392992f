"""The model against transformers' own, and its blindness to neighbours in a packed row."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from simorgh_trainer.training.model import Llama, ModelShape, from_hugging_face, to_hugging_face
from simorgh_trainer.training.model_folder import read_model, write_model
from simorgh_trainer.training.packing import Samples, build_batch
from simorgh_trainer.training.tokenizer import train_tokenizer

CPU = torch.device("cpu")


def _model(num_kv_heads: int = 4, vocab_size: int = 300) -> Llama:
    model = Llama(ModelShape(64, 2, 4, num_kv_heads, 96, vocab_size, 256))
    model.initialise(seed=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
            else:
                parameter.mul_(5)  # scores far from even, so that a wrong mask or position shows
    return model.eval()


def _samples(*lengths: int) -> Samples:
    random = np.random.default_rng(0)
    pieces = [random.integers(0, 300, length).astype(np.int32) for length in lengths]
    return Samples.join(pieces, pieces)


def _hidden(model: Llama, samples: Samples, row: list[int]) -> torch.Tensor:
    batch = build_batch(samples, [np.array(row)], torch.float32, CPU)
    with torch.no_grad():
        return model(batch.ids_BT, batch.positions_BT, batch.mask)[0]


class TestLlama:
    @pytest.mark.parametrize("num_kv_heads", [4, 2])
    @pytest.mark.parametrize("length", [40, 230])  # products for short rows, flash attention for long ones
    def test_logits_equal_those_of_transformers(self, tmp_path: Path, num_kv_heads: int, length: int) -> None:
        tokenizer = train_tokenizer(["سلام دنیا"] * 3, 300)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        model = _model(num_kv_heads, tokenizer.get_vocab_size())
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        write_model(tmp_path / "out", weights, model.shape, tokenizer, tmp_path / "tokenizer.json", {})
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32).eval()
        ids = torch.randint(0, model.shape.vocab_size, (1, length), generator=torch.Generator().manual_seed(5))
        samples = Samples.join([ids[0].numpy().astype(np.int32)], [ids[0].numpy().astype(np.int32)])
        with torch.no_grad():
            expected = theirs(ids).logits[0]
            ours = model.logits(_hidden(model, samples, [0]))
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
        assert expected.std() > 0.1

    @pytest.mark.parametrize("length", [20, 100])
    def test_sample_does_not_see_its_neighbours(self, length: int) -> None:
        """Alone, behind others and before others a sample's hidden states are the same."""
        model = _model()
        samples = _samples(length, 13, 31, 60)
        alone = _hidden(model, samples, [0])
        behind = _hidden(model, samples, [1, 2, 0])[44:]
        before = _hidden(model, samples, [0, 3])[:length]
        torch.testing.assert_close(behind, alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(before, alone, rtol=1e-5, atol=1e-5)

    def test_weights_come_back_from_hugging_face_names(self, tmp_path: Path) -> None:
        model = _model(num_kv_heads=2)
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        back = from_hugging_face(to_hugging_face(weights, model.shape), model.shape)
        assert set(back) == set(weights)
        assert all(torch.equal(back[name], weights[name]) for name in weights)
        tokenizer = train_tokenizer(["سلام"] * 3, 300)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        shape = ModelShape(64, 2, 4, 2, 96, tokenizer.get_vocab_size(), 256)
        model = Llama(shape)
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        write_model(tmp_path / "out", weights, shape, tokenizer, tmp_path / "tokenizer.json", {})
        assert read_model(tmp_path / "out", 128).shape == shape
