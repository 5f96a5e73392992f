"""A run in this process: what it learns, how it leaves, what it goes on from, and how it fails."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from simorgh_shared.child.events import EventLog
from simorgh_shared.domain.errors import AppError
from simorgh_shared.persian.normaliser import DEFAULT_OPTIONS
from simorgh_trainer.training.failures import explain
from simorgh_trainer.training.loop import CancelledError
from simorgh_trainer.training.run import run_attempt
from tests.trainer_worker.training.work_folder import (
    TINY_SPEC,
    losses,
    make_work_folder,
    of_type,
    questions,
    read_events,
)

MODEL_SPEC = {key: value for key, value in TINY_SPEC.items() if key != "vocab_size"} | {"model": "mdl_base"}


def run_here(folder: Path) -> list[dict[str, Any]]:
    """Run an attempt without a process of its own; its events."""
    with EventLog(folder / "events.jsonl") as events:
        run_attempt(folder, events)
    return read_events(folder)


def _failure(folder: Path) -> AppError:
    with pytest.raises(Exception) as caught:
        run_here(folder)
    failure = explain(caught.value, folder)
    assert failure is not None, caught.value
    return failure


@pytest.fixture(scope="module")
def learnt_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 8 rows until it knows them."""
    spec = TINY_SPEC | {"max_steps": 150, "save_steps": 40, "eval_fraction": 0, "logging_steps": 10, "threads": 1}
    folder = make_work_folder(tmp_path_factory.mktemp("learnt"), spec, train=questions(8), test=[])
    run_here(folder)
    return folder


class TestLearning:
    def test_overfits_eight_samples(self, learnt_run: Path) -> None:
        """R-TRAIN-4: and greedy answers through plain transformers and the chat template are the trained ones."""
        events = read_events(learnt_run)
        started, result = of_type(events, "started")[0], events[-1]
        num_labels = started["train_tokens"] - 8  # each row's one marker in the middle is not predicted
        least = 8 * math.log(8) / num_labels  # which of the eight questions comes cannot be known
        assert least < result["metrics"]["loss"] < least + 0.05
        tokenizer = AutoTokenizer.from_pretrained(learnt_run / "output")
        model = AutoModelForCausalLM.from_pretrained(learnt_run / "output")
        for row in questions(8):
            messages = [{"role": "user", "content": row["question"]}]
            prompt = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            written = model.generate(**prompt, max_new_tokens=40, do_sample=False)
            answer = tokenizer.decode(written[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True)
            assert answer == row["answer"]

    def test_same_seed_same_loss(self, tmp_path: Path) -> None:
        spec = TINY_SPEC | {"max_steps": 6, "dropout": 0.1}
        first, second = (make_work_folder(tmp_path / name, spec) for name in ("first", "second"))
        other = make_work_folder(tmp_path / "other", spec | {"seed": 8})
        for folder in (first, second, other):
            run_here(folder)
        assert losses(first) == losses(second)
        assert losses(first) != losses(other)
        hashes = {(folder / "output" / "model.safetensors").read_bytes() for folder in (first, second)}
        assert len(hashes) == 1

    def test_first_figures_come_with_the_first_step(self, learnt_run: Path) -> None:
        steps = [event["step"] for event in of_type(read_events(learnt_run), "metrics")]
        assert steps[:3] == [1, 10, 20]

    def test_warns_that_nothing_is_held_out(self, learnt_run: Path) -> None:
        assert "No rows are held out" in of_type(read_events(learnt_run), "log")[0]["message"]

    def test_plain_text_and_chats(self, tmp_path: Path) -> None:
        texts = [{"body": row["question"] + " " + row["answer"]} for row in questions(10)]
        folder = make_work_folder(
            tmp_path / "text",
            TINY_SPEC | {"max_steps": 2, "eval_fraction": 0.2},
            train=texts,
            test=[],
            row_schema="text",
            columns={"text": "body"},
        )
        started = run_here(folder)[0]
        assert (started["train_rows"], started["eval_rows"]) == (8, 2)
        chats = [
            {
                "messages": [
                    {"role": "system", "content": "کوتاه بگو"},
                    {"role": "user", "content": row["question"]},
                    {"role": "assistant", "content": row["answer"]},
                ]
            }
            for row in questions(10)
        ]
        folder = make_work_folder(
            tmp_path / "chat", TINY_SPEC | {"max_steps": 2}, train=chats[:8], test=chats[8:], row_schema="messages"
        )
        assert run_here(folder)[-1]["type"] == "result"


class TestEnd:
    def test_patience_ends_the_run(self, tmp_path: Path) -> None:
        """And the model is that of the lowest held-out loss, not of the last step."""
        spec = TINY_SPEC | {"early_stopping_patience": 2, "keep": "best", "learning_rate": 0.02, "max_steps": 200}
        folder = make_work_folder(tmp_path, spec)
        result = run_here(folder)[-1]
        lowest = result["metrics"]["lowest_eval_step"]
        assert result["step"] == lowest + 10 < 200
        kept = load_file(folder / "output" / "model.safetensors")["model.norm.weight"]
        last = load_file(folder / "checkpoints" / f"step-{result['step'] - 5:08d}" / "best.safetensors")["norm.weight"]
        assert torch.equal(kept, last)
        assert json.loads((folder / "output" / "lineage.json").read_bytes())["step"] == lowest

    def test_time_budget_ends_the_run_annealed(self, tmp_path: Path) -> None:
        spec = TINY_SPEC | {"max_minutes": 3 / 60, "warmup_steps": 0, "learning_rate": 1e-3}
        result = run_here(make_work_folder(tmp_path, spec))[-1]
        assert 3 <= result["metrics"]["training_seconds"] < 10
        rates = [value for (_, name), value in losses(tmp_path).items() if name == "learning_rate"]
        assert rates[-1] < 0.5e-3 < rates[0]


class TestLeaving:
    @pytest.mark.parametrize(("steps", "warns"), [(299, True), (300, False)])
    def test_a_fresh_model_with_few_steps_is_warned_of(self, tmp_path: Path, steps: int, warns: bool) -> None:
        """R-TRAIN-5: else somebody talks to noise and does not know why."""
        folder = make_work_folder(tmp_path, TINY_SPEC | {"max_steps": steps})
        (folder / "control.json").write_text(json.dumps({"desired_state": "stop"}))
        said = [event["message"] for event in of_type(run_here(folder), "log")]
        assert any(f"learns little in {steps} steps" in message for message in said) is warns

    @pytest.mark.parametrize(("control", "reason"), [({"desired_state": "stop"}, "stop"), ({"drain": True}, "drain")])
    def test_saves_before_the_first_step_too(self, tmp_path: Path, control: dict[str, Any], reason: str) -> None:
        folder = make_work_folder(tmp_path, TINY_SPEC)
        (folder / "control.json").write_text(json.dumps(control))
        events = run_here(folder)
        assert [event["type"] for event in events] == ["started", "checkpoint", "left"]
        assert events[-1]["reason"] == reason
        assert (folder / events[1]["path"] / "state.json").exists()
        assert not list((folder / "checkpoints").glob("*.tmp"))

    def test_cancel_wins_over_a_request_to_save(self, tmp_path: Path) -> None:
        folder = make_work_folder(tmp_path, TINY_SPEC)
        (folder / "control.json").write_text(json.dumps({"desired_state": "cancel", "checkpoint_request": 3}))
        with pytest.raises(CancelledError):
            run_here(folder)
        assert not (folder / "checkpoints").exists()


class TestGoingOn:
    def test_changes_are_said(self, learnt_run: Path, tmp_path: Path) -> None:
        """Another rate and another thread count: the run goes on, and claims no equality."""
        spec = json.loads((learnt_run / "run.json").read_bytes())["spec"]
        spec |= {"learning_rate": 1e-4, "threads": 2, "max_steps": 43}
        folder = make_work_folder(
            tmp_path, spec, train=questions(8), test=[], checkpoint=learnt_run / "checkpoints" / "step-00000040"
        )
        events = run_here(folder)
        said = " ".join(event["message"] for event in of_type(events, "log"))
        assert "threads is 2, the checkpoint was made with 1" in said
        assert "learning_rate is 0.0001; the checkpoint was made with 0.002" in said
        assert (events[-1]["type"], events[-1]["step"]) == ("result", 43)

    def test_other_rows_are_packed_anew(self, learnt_run: Path, tmp_path: Path) -> None:
        spec = json.loads((learnt_run / "run.json").read_bytes())["spec"] | {"max_steps": 42}
        folder = make_work_folder(
            tmp_path, spec, train=questions(12), test=[], checkpoint=learnt_run / "checkpoints" / "step-00000040"
        )
        events = run_here(folder)
        assert "begins anew" in " ".join(event["message"] for event in of_type(events, "log"))
        assert events[-1]["step"] == 42

    def test_model_of_another_size_is_refused(self, learnt_run: Path, tmp_path: Path) -> None:
        checkpoint = learnt_run / "checkpoints" / "step-00000040"
        folder = make_work_folder(tmp_path, TINY_SPEC | {"model": "simorgh-4m"}, checkpoint=checkpoint)
        assert _failure(folder).code == "checkpoint_mismatch"

    def test_a_run_that_ends_where_anothers_checkpoint_stands_is_refused(
        self, learnt_run: Path, tmp_path: Path
    ) -> None:
        """R-TRAIN-8: a model of no step would be the old one under a new name. One's own may be at the end."""
        checkpoint = learnt_run / "checkpoints" / "step-00000040"
        spec = json.loads((learnt_run / "run.json").read_bytes())["spec"] | {"max_steps": None, "epochs": 0.01}
        failure = _failure(make_work_folder(tmp_path / "anothers", spec, checkpoint=checkpoint, anothers=True))
        assert (failure.code, failure.params) == ("nothing_left", {"step": 40})
        own = run_here(make_work_folder(tmp_path / "own", spec, checkpoint=checkpoint))
        assert (own[-1]["type"], own[-1]["step"]) == ("result", 40)

    def test_broken_checkpoint_is_told(self, learnt_run: Path, tmp_path: Path) -> None:
        broken = tmp_path / "broken"
        broken.mkdir()
        for path in (learnt_run / "checkpoints" / "step-00000040").iterdir():
            (broken / path.name).write_bytes(path.read_bytes()[:100])
        failure = _failure(make_work_folder(tmp_path / "run", TINY_SPEC, checkpoint=broken))
        assert failure.code == "checkpoint_unreadable"

    def test_trains_a_model_further(self, learnt_run: Path, tmp_path: Path) -> None:
        """R-TRAIN-3: continued pretraining starts at what the model knows, with the model's tokenizer."""
        folder = make_work_folder(
            tmp_path, MODEL_SPEC | {"max_steps": 3}, train=questions(8), test=[], base_model=learnt_run / "output"
        )
        events = run_here(folder)
        assert of_type(events, "metrics")[0]["values"]["loss"] < 0.3
        tokenizer = "output/tokenizer.json"
        assert (folder / tokenizer).read_bytes() == (learnt_run / tokenizer).read_bytes()

    def test_tuning_changes_the_answers(self, learnt_run: Path, tmp_path: Path) -> None:
        """R-TRAIN-3: sft from a model that knows other answers to the same questions."""
        rows = [row | {"answer": f"پاسخ تازه {number}"} for number, row in enumerate(questions(8))]
        spec = MODEL_SPEC | {"method": "sft", "max_steps": 180, "eval_fraction": 0, "logging_steps": 10}
        folder = make_work_folder(tmp_path, spec, train=rows, test=[], base_model=learnt_run / "output")
        events = run_here(folder)
        assert events[-1]["metrics"]["loss"] < 0.1
        tokenizer = AutoTokenizer.from_pretrained(folder / "output")
        model = AutoModelForCausalLM.from_pretrained(folder / "output")
        for row in rows:
            messages = [{"role": "user", "content": row["question"]}]
            prompt = tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            written = model.generate(**prompt, max_new_tokens=40, do_sample=False)
            answer = tokenizer.decode(written[0][prompt["input_ids"].shape[1] :], skip_special_tokens=True)
            assert answer == row["answer"]

    def test_persian_text_is_brought_to_one_spelling_when_asked(self, tmp_path: Path) -> None:
        """R-FA-1: two spellings of a word train the same run, and the rules' version stands in the lineage."""
        rows = [{"question": f"كتاب هاي {n}", "answer": "مي روم"} for n in range(4)]
        same = [{"question": f"کتاب‌های {n}", "answer": "می‌روم"} for n in range(4)]
        spec = TINY_SPEC | {"max_steps": 2, "normalise": True, "eval_fraction": 0}
        folders = [
            make_work_folder(tmp_path / str(n), spec, train=given, test=[]) for n, given in enumerate((rows, same))
        ]
        for folder in folders:
            run_here(folder)
        assert losses(folders[0]) == losses(folders[1])
        lineage = json.loads((folders[0] / "output" / "lineage.json").read_text())
        assert lineage["environment"]["normaliser"] == DEFAULT_OPTIONS.fingerprint()

    def test_rows_without_answers_are_nothing_to_tune_on(self, learnt_run: Path, tmp_path: Path) -> None:
        """R-TRAIN-3, R-TRAIN-11."""
        spec = MODEL_SPEC | {"method": "sft"}
        folder = make_work_folder(
            tmp_path, spec, train=[{"text": "متن"}], test=[], row_schema="text", base_model=learnt_run / "output"
        )
        failure = _failure(folder)
        assert (failure.code, failure.params["fitting"]) == ("method_unfit", "pretrain")


class TestFailures:
    """R-TRAIN-11: each has a code, and parameters that fill its sentence."""

    def test_loss_that_is_no_number(self, learnt_run: Path, tmp_path: Path) -> None:
        model = tmp_path / "model"
        model.mkdir()
        for path in (learnt_run / "output").iterdir():
            (model / path.name).write_bytes(path.read_bytes())
        weights = load_file(model / "model.safetensors")
        weights["model.norm.weight"][0] = float("nan")
        save_file(weights, model / "model.safetensors")
        failure = _failure(make_work_folder(tmp_path / "run", MODEL_SPEC, base_model=model))
        assert failure.code == "nan_loss"
        assert failure.params["step"] == 1

    def test_bad_row_names_its_line(self, tmp_path: Path) -> None:
        rows = [{"question": "الف", "answer": "ب"}] * 2 + [{"question": "پ"}]
        message = _failure(make_work_folder(tmp_path, TINY_SPEC, train=rows)).message()
        assert message.startswith("Line 3 of train.jsonl cannot be trained on:")
        assert "answer" in message

    def test_no_rows(self, tmp_path: Path) -> None:
        assert _failure(make_work_folder(tmp_path, TINY_SPEC, train=[])).code == "no_rows"

    def test_best_weights_need_held_out_rows(self, tmp_path: Path) -> None:
        spec = TINY_SPEC | {"keep": "best", "eval_fraction": 0}
        assert _failure(make_work_folder(tmp_path, spec, test=[])).code == "no_held_out"

    def test_model_that_is_no_preset(self, tmp_path: Path) -> None:
        assert "simorgh-2m" in _failure(make_work_folder(tmp_path, MODEL_SPEC)).message()

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
    def test_gpu_that_is_not_there(self, tmp_path: Path) -> None:
        assert _failure(make_work_folder(tmp_path, TINY_SPEC | {"device": "gpu"})).code == "gpu_missing"

    def test_parameter_out_of_bounds(self, tmp_path: Path) -> None:
        failure = _failure(make_work_folder(tmp_path, TINY_SPEC | {"learning_rate": -1}))
        assert "learning_rate is -1: Input should be greater than 0" in failure.message()

    def test_full_disk(self, tmp_path: Path) -> None:
        folder = make_work_folder(tmp_path, TINY_SPEC)
        with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")
        failure = explain(caught.value, folder)
        assert failure is not None
        assert failure.code == "disk_full"

    def test_fault_of_ours_stays_one(self, tmp_path: Path) -> None:
        assert explain(ZeroDivisionError(), tmp_path) is None
