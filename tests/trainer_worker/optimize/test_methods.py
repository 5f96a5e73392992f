"""The methods on a tiny model, in this process: what they write, and what they compare it by (R-OPT-1)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from simorgh_shared.domain.errors import InvalidInputError
from simorgh_trainer.optimize.held_out import read_learnt
from simorgh_trainer.optimize.methods import gguf, merge, onnx, openvino, prune_magnitude, prune_structured
from simorgh_trainer.optimize.methods.folders import copy_companions
from simorgh_trainer.optimize.methods.likeness import compare_logits
from simorgh_trainer.optimize.runtimes import TransformersRuntime, load_model
from simorgh_trainer.training.data import DatasetInput
from simorgh_trainer.training.packing import Samples
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.work_folder import questions

IDS = list(range(3, 40))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("source") / "model", is_tied=False)


def make_adapter(folder: Path, base: Path) -> Path:
    """An adapter that changes something, with its base, as the platform keeps them."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(load_model(base), config)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    adapted.save_pretrained(folder)
    (folder / "base").symlink_to(base)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes((base / name).read_bytes())
    return folder


class TestMerge:
    @pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # that is how peft asks
    def test_merged_equals_the_adapter_on_its_base(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: within the stated tolerance, and other than the base."""
        adapter = make_adapter(tmp_path / "adapter", source)
        found = merge.make(adapter, tmp_path / "output", {}, IDS, 1)
        assert found["logits_deviation"] <= found["tolerance"] == 1e-3
        merged = TransformersRuntime(load_model(tmp_path / "output"), 1)
        base = TransformersRuntime(load_model(source), 1)
        assert compare_logits(base, merged, IDS, None)["logits_deviation"] > 0.001
        names = {path.name for path in (tmp_path / "output").iterdir()}
        assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"} <= names
        assert "adapter_config.json" not in names

    def test_what_differs_is_refused(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: nothing of it is kept."""
        other = TransformersRuntime(load_model(make_model(tmp_path / "other")), 1)
        with pytest.raises(InvalidInputError, match="its logits deviate by"):
            compare_logits(TransformersRuntime(load_model(source), 1), other, IDS, 1e-3)


class TestPruneMagnitude:
    def test_smallest_go_and_the_rest_stays(self) -> None:
        weight = torch.tensor([[0.1, -3.0], [-0.2, 0.3]])
        prune_magnitude.prune(weight, 0.5)
        assert weight.tolist() == [[0.0, -3.0], [0.0, pytest.approx(0.3)]]

    def test_embeddings_and_output_stay_whole_and_zeros_zero(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: after a recovery too, which lowers the loss."""
        spec = {"sparsity": 0.5, "recovery": {"steps": 12, "learning_rate": 3e-3}}
        found = prune_magnitude.make(source, tmp_path / "output", spec, IDS, 1, learnt(source, tmp_path))
        weights = load_file(tmp_path / "output" / "model.safetensors")
        zeros = {name: float((tensor == 0).float().mean()) for name, tensor in weights.items()}
        assert zeros["model.embed_tokens.weight"] == zeros["lm_head.weight"] == 0
        assert zeros["model.layers.0.mlp.up_proj.weight"] == 0.5
        assert found["zeros"] == found["pruned_weights"] // 2
        assert found["recovery"]["last_loss"] < found["recovery"]["first_loss"] - 0.5


class TestPruneStructured:
    def test_a_smaller_model_loads_as_any_other(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: neurons and heads are gone from the files and from the configuration."""
        spec = {"sparsity": 0.3, "head_sparsity": 0.5, "recovery": {"steps": 12, "learning_rate": 3e-3}}
        found = prune_structured.make(source, tmp_path / "output", spec, IDS, 1, learnt(source, tmp_path))
        config = json.loads((tmp_path / "output" / "config.json").read_bytes())
        assert (config["intermediate_size"], config["num_attention_heads"], config["num_key_value_heads"]) == (72, 2, 1)
        assert config["head_dim"] == 16
        weights = load_file(tmp_path / "output" / "model.safetensors")
        assert weights["model.layers.1.mlp.down_proj.weight"].shape == (64, 72)
        assert weights["model.layers.1.self_attn.q_proj.weight"].shape == (32, 64)
        assert found["after"]["weights"] == sum(tensor.numel() for tensor in weights.values())
        assert found["recovery"]["last_loss"] < found["recovery"]["first_loss"] - 0.5

    def test_what_adds_nothing_goes_first(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: without dead neurons and heads the logits are those of the whole model."""
        model = load_model(source)
        with torch.no_grad():
            for layer in model.model.layers:
                layer.mlp.down_proj.weight[:, ::4] = 0.0  # 24 of 96
                layer.self_attn.o_proj.weight[:, :32] = 0.0  # the first of two groups
        model.save_pretrained(tmp_path / "dead")
        copy_companions(source, tmp_path / "dead", with_config=False)
        spec = {"sparsity": 0.25, "head_sparsity": 0.5}
        rows = learnt(source, tmp_path)
        found = prune_structured.make(tmp_path / "dead", tmp_path / "output", spec, IDS, 1, rows)
        assert found["logits_deviation"] < 1e-5

    def test_weights_stay_in_the_type_that_they_came_in(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: a smaller model has fewer bytes, though it is computed in float32."""
        load_model(source).to(torch.bfloat16).save_pretrained(tmp_path / "half")
        copy_companions(source, tmp_path / "half", with_config=False)
        rows = learnt(source, tmp_path)
        prune_structured.make(tmp_path / "half", tmp_path / "output", {}, IDS, 1, rows)
        before, after = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "output"))
        assert after < before

    def test_too_little_is_refused(self, source: Path, tmp_path: Path) -> None:
        with pytest.raises(InvalidInputError, match="no whole neuron or head"):
            prune_structured.make(source, tmp_path / "output", {"sparsity": 0.01}, IDS, 1, learnt(source, tmp_path))


def learnt(source: Path, folder: Path) -> Samples:
    """Rows that the model may learn from."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in questions(24)))
    return read_learnt(source, DatasetInput("qa", {}, [path], []), None, None)


class TestGguf:
    def test_f16_reads_back(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: by the package and by transformers; logits are those of the original to half precision."""
        found = gguf.make(source, tmp_path / "output", {"precision": "f16"}, IDS, 1)
        assert found["largest_tensor_deviation"] < 1e-3
        assert found["logits_deviation"] < 5e-3

    def test_interleaves_the_halves_of_each_head(self) -> None:
        rows = np.arange(8, dtype=np.float32).reshape(8, 1)
        assert gguf.interleave(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]

    def test_other_tokenizers_are_refused(self, source: Path, tmp_path: Path) -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        for path in source.iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / "tokenizer.json").write_text('{"model": {"type": "Unigram"}}')
        with pytest.raises(InvalidInputError, match="no byte-level BPE"):
            gguf.make(folder, tmp_path / "output", {}, IDS, 1)


class TestOnnx:
    @pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts
    def test_graph_equals_transformers_with_and_without_a_cache(self, source: Path, tmp_path: Path) -> None:
        """R-OPT-1: within the stated tolerance, in onnxruntime."""
        found = onnx.make(source, tmp_path / "output", {}, IDS, 1)
        assert found["logits_deviation"] <= found["tolerance"] == 1e-3
        assert {path.name for path in (tmp_path / "output").iterdir()} >= {"model.onnx", "model.onnx.data"}


@pytest.mark.filterwarnings("ignore")  # the exporter and NNCF warn of their own parts
class TestOpenvino:
    @pytest.mark.parametrize(("make", "kept"), [("make_int8", "u8"), ("make_int4", "u4")])
    def test_weights_are_kept_in_few_bits(self, source: Path, tmp_path: Path, make: str, kept: str) -> None:
        """R-OPT-1: what is compressed equals transformers before; the tokenizer goes along."""
        found = getattr(openvino, make)(source, tmp_path / "output", {}, IDS, 1)
        assert found["float32_deviation"] <= found["float32_tolerance"] == 1e-3
        assert found["compressed_weights"][kept] > 50_000
        assert 0 < found["logits_deviation"] < 0.5
        names = {path.name for path in (tmp_path / "output").iterdir()}
        assert {"openvino_model.xml", "openvino_model.bin", "config.json", "tokenizer.json"} <= names

    def test_four_bits_want_even_groups(self, tmp_path: Path) -> None:
        source = make_model(tmp_path / "model", intermediate_size=90)
        with pytest.raises(InvalidInputError, match="part into no even groups"):
            openvino.make_int4(source, tmp_path / "output", {}, IDS, 1)
