"""Adapters and models from elsewhere: what a run learns, what it writes, and that others read it alike."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from simorgh_shared.schemas.training import TrainSpec
from simorgh_trainer.training import lora
from simorgh_trainer.training.generate import answer
from simorgh_trainer.training.hardware import Hardware
from simorgh_trainer.training.model import Llama
from simorgh_trainer.training.model_folder import read_model
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.test_run import _failure, run_here
from tests.trainer_worker.training.work_folder import TINY_SPEC, make_work_folder, of_type, questions

SPEC = {name: value for name, value in TINY_SPEC.items() if name != "vocab_size"} | {
    "model": "mdl_base",
    "method": "lora",
    "sequence_length": 96,
    "precision": "fp32",
    "threads": 1,
}
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # peft asks transformers
PLAIN = Hardware(torch.device("cpu"), torch.float32, 1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def tuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of an adapter over 8 rows until it knows them; they are held out too, so that the report shows them."""
    spec = SPEC | {"max_steps": 300, "learning_rate": 1e-2, "lora_rank": 16, "lora_alpha": 32, "save_steps": 1_000}
    spec |= {"eval_steps": 1_000}
    folder = make_work_folder(
        tmp_path_factory.mktemp("lora"), spec, train=questions(8), test=questions(8), base_model=base
    )
    run_here(folder)
    return folder


def served(base: Path, adapter: Path, prompt: str) -> str:
    """What PEFT answers with the adapter on its base."""
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    messages = [{"role": "user", "content": prompt}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    written = model.generate(**ids, max_new_tokens=60, do_sample=False)
    return str(tokenizer.decode(written[0][ids["input_ids"].shape[1] :], skip_special_tokens=True))


class TestLora:
    def test_learns_the_answers(self, tuned: Path) -> None:
        """R-TRAIN-3: the adapter alone learns; the held-out loss is measured before the first step and falls."""
        result = of_type(_events(tuned), "result")[0]["metrics"]
        assert result["token_accuracy"] == 1.0
        assert result["eval_loss_per_char"] < result["first_eval_loss_per_char"]  # small frozen embeddings bound it
        assert result["num_trained_parameters"] < 0.7 * result["num_parameters"]

    def test_report_shows_answers_before_and_after(self, tuned: Path) -> None:
        before, after = of_type(_events(tuned), "answers")
        assert (before["when"], after["when"]) == ("before", "after")
        assert len(after["answers"]) == 5
        assert [told["answer"] for told in after["answers"]] == [told["expected"] for told in after["answers"]]
        assert all(told["answer"] != told["expected"] for told in before["answers"])

    def test_peft_reads_the_adapter(self, tuned: Path, base: Path) -> None:
        """What we train and what PEFT makes of the files answer alike."""
        row = questions(8)[3]
        assert served(base, tuned / "output", row["question"]) == row["answer"]

    def test_writes_an_adapter_and_the_tokenizer_and_no_weights_of_the_base(self, tuned: Path) -> None:
        names = {path.name for path in (tuned / "output").iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "lineage.json"} <= names
        assert not {"model.safetensors", "config.json"} & names
        config = json.loads((tuned / "output" / "adapter_config.json").read_bytes())
        assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 16, 32)

    def test_resumed_equals_uninterrupted(self, base: Path, tmp_path: Path) -> None:
        """R-TRAIN-6: an adapter goes on from a checkpoint, which holds no weight of the base, bit for bit."""
        spec = SPEC | {"max_steps": 12, "save_steps": 6, "lora_dropout": 0.2}
        whole = make_work_folder(tmp_path / "whole", spec, base_model=base)
        run_here(whole)
        checkpoint = whole / "checkpoints" / "step-00000006"
        assert all("lora_" in name for name in load_file(checkpoint / "weights.safetensors"))
        second = make_work_folder(tmp_path / "second", spec, base_model=base, checkpoint=checkpoint)
        run_here(second)
        name = "output/adapter_model.safetensors"
        assert (second / name).read_bytes() == (whole / name).read_bytes()

    def test_checkpoint_of_another_adapter_is_refused(self, base: Path, tmp_path: Path) -> None:
        spec = SPEC | {"max_steps": 2, "save_steps": 1}
        first = make_work_folder(tmp_path / "first", spec, base_model=base)
        run_here(first)
        checkpoint = first / "checkpoints" / "step-00000001"
        other = make_work_folder(tmp_path / "other", spec | {"lora_rank": 4}, base_model=base, checkpoint=checkpoint)
        failure = _failure(other)
        assert (failure.code, "rank 8" in failure.params["theirs"]) == ("checkpoint_mismatch", True)

    @pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["up_proj"], ["k_proj", "o_proj", "down_proj"]])
    def test_parts_of_joint_layers_equal_pefts(self, base: Path, tmp_path: Path, targets: list[str]) -> None:
        """An adapter on some of the products that we compute jointly is PEFT's on those layers."""
        spec = TrainSpec.model_validate(
            {"model": "m", "method": "lora", "lora_rank": 4, "lora_alpha": 8, "lora_targets": targets}
        )
        found = read_model(base, 64)
        model = Llama(found.shape)
        model.load_state_dict(found.weights())
        lora.adapt(model, spec)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_b" in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(name))))
        learnt = {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}
        lora.save_adapter(tmp_path, learnt, spec, "base")
        theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), tmp_path)
        ids = torch.randint(3, 300, (1, 40), generator=torch.Generator().manual_seed(2))
        mask = torch.full((40, 40), float("-inf")).triu(1)[None, None]
        with torch.no_grad():
            ours = model.eval().logits(model(ids, torch.arange(40)[None], mask)[0])
            expected = theirs(ids).logits[0]
            with theirs.disable_adapter():
                plain = theirs(ids).logits[0]
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)
        assert (expected - plain).abs().max() > 0.01, "the adapter does something"


class TestGenerate:
    def test_greedy_answer_equals_that_of_transformers(self, base: Path) -> None:
        found = read_model(base, 64)
        model = Llama(found.shape)
        model.load_state_dict(found.weights())
        prompt = found.row_format.prompt((("user", "کتاب چیست؟"),))
        theirs = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        written = theirs.generate(torch.tensor([prompt]), max_new_tokens=30, do_sample=False)[0, len(prompt) :]
        ends = set(found.row_format.end_ids)
        expected = [int(token) for token in written if int(token) not in ends]
        assert answer(model, prompt, ends, 30, PLAIN) == expected


class TestForeignModels:
    @pytest.mark.parametrize("is_tied", [True, False])
    def test_full_tuning_keeps_tokenizer_and_template(self, tmp_path: Path, is_tied: bool) -> None:
        """R-TRAIN-3: sft of a model from elsewhere, its output projection tied or apart."""
        base = make_model(tmp_path / "base", is_tied=is_tied)
        spec = SPEC | {
            "method": "sft",
            "max_steps": 220,
            "learning_rate": 5e-3,
            "save_steps": 1_000,
            "eval_steps": 1_000,
        }
        folder = make_work_folder(tmp_path / "run", spec, train=questions(8), test=questions(8), base_model=base)
        events = run_here(folder)
        after = of_type(events, "answers")[1]["answers"]
        assert [told["answer"] for told in after] == [told["expected"] for told in after]
        out = folder / "output"
        for name in ("tokenizer.json", "chat_template.jinja"):
            assert (out / name).read_bytes() == (base / name).read_bytes()
        config = json.loads((out / "config.json").read_bytes())
        assert config["tie_word_embeddings"] is is_tied
        tokenizer, model = AutoTokenizer.from_pretrained(out), AutoModelForCausalLM.from_pretrained(out)
        messages = [{"role": "user", "content": after[0]["prompt"]}]
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        written = model.generate(**ids, max_new_tokens=60, do_sample=False)[0][ids["input_ids"].shape[1] :]
        assert tokenizer.decode(written, skip_special_tokens=True) == after[0]["expected"]

    def test_continued_pretraining(self, base: Path, tmp_path: Path) -> None:
        """R-TRAIN-3: every text is learnt, without the template."""
        spec = SPEC | {"method": "pretrain", "max_steps": 60, "learning_rate": 5e-3, "eval_steps": 1_000}
        rows = [{"text": "پرنده‌ها به کوه رفتند."}] * 4
        folder = make_work_folder(tmp_path, spec, train=rows, test=rows, base_model=base, row_schema="text")
        metrics = run_here(folder)[-1]["metrics"]
        assert metrics["eval_loss_per_char"] < 0.1 * metrics["first_eval_loss_per_char"]

    def test_other_architecture_is_refused(self, base: Path, tmp_path: Path) -> None:
        copy = tmp_path / "gpt"
        copy.mkdir()
        for path in base.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        config = json.loads((copy / "config.json").read_bytes()) | {"architectures": ["GPT2LMHeadModel"]}
        (copy / "config.json").write_text(json.dumps(config))
        failure = _failure(make_work_folder(tmp_path / "run", SPEC, base_model=copy))
        assert failure.code == "base_model_unfit"


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text("utf-8").splitlines()]
