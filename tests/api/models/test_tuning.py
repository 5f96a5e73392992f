"""A model from elsewhere is uploaded, tuned by an adapter with a real worker, and asked: all through the API."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simorgh_shared.domain.jobs import JobStatus
from tests.api.chat.conftest import world
from tests.api.chat.world import World, ok, refused
from tests.api.models.test_served import send
from tests.support.gateway import Account
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.work_folder import questions

__all__ = ["world"]
ROWS = questions(8)
LORA: dict[str, Any] = {"method": "lora", "epochs": 1_000, "max_steps": 300, "learning_rate": 1e-2, "lora_rank": 16}
LORA |= {"lora_alpha": 32, "save_steps": 200, "eval_steps": 200, "sequence_length": 96, "precision": "fp32"}
LORA |= {"threads": 1, "seed": 7}  # a run that repeats bit for bit learns the rows each time


@pytest.fixture(scope="module")
def owner(world: World, sign_up: Callable[[], Account], tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Someone with a tiny foreign model, a dataset, and a worker that trains."""
    world.engine.start_dispatcher()
    world.engine.start_worker()
    made = sign_up()
    folder = make_model(tmp_path_factory.mktemp("foreign") / "model")
    send(made, "foreign", {path.name: path.read_bytes() for path in folder.iterdir()})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    files = {"dataset": ("rows.jsonl", lines), "test": ("test.jsonl", lines)}
    ok(made.client.post("/api/datasets/upload", files=files, data={"name": "rows"}))
    return made


def start(owner: Account, **changes: Any) -> Any:
    body = LORA | {"model": "foreign", "dataset": "rows"} | changes
    return owner.client.post("/api/training/jobs", json=body)


@pytest.fixture(scope="module")
def tuned(owner: Account, world: World) -> dict[str, Any]:
    """The job of an adapter that knows the rows."""
    job_id = ok(start(owner, name="answers"), 202)["id"]

    def ended() -> bool:
        return owner.client.get(f"/api/training/jobs/{job_id}").json()["data"]["finished_at"] is not None

    world.engine.wait(ended, "the run has ended", within_s=120)
    job: dict[str, Any] = ok(owner.client.get(f"/api/training/jobs/{job_id}"))
    assert job["status"] == JobStatus.SUCCEEDED, job["error"]
    return job


class TestTuning:
    def test_chat_uses_the_adapter(self, owner: Account, tuned: dict[str, Any]) -> None:
        """R-TRAIN-3, R-TRAIN-4: the tuned model answers in the chat, by its name."""
        for row in ROWS[:3]:
            messages = [{"role": "user", "content": row["question"]}]
            body = {"model": "answers", "messages": messages, "temperature": 0, "max_tokens": 60}
            answer = owner.client.post("/v1/chat/completions", json=body, timeout=60)
            assert answer.json()["choices"][0]["message"]["content"] == row["answer"], answer.text

    def test_who_names_no_model_asks_the_one_that_was_trained_last(
        self, owner: Account, tuned: dict[str, Any], tmp_path: Path
    ) -> None:
        """R-CHAT-2: what is sent afterwards does not take its place."""
        folder = make_model(tmp_path / "later", is_tied=False)
        send(owner, "sent-later", {path.name: path.read_bytes() for path in folder.iterdir()})
        answer = owner.client.post("/api/chat", json={"message": ROWS[0]["question"], "temperature": 0}, timeout=60)
        assert ok(answer)["model"] == tuned["result"]["model_id"], answer.text

    def test_report_shows_losses_and_answers(self, owner: Account, tuned: dict[str, Any]) -> None:
        """R-TRAIN-4: what the run has brought, beside a trigram of the same rows."""
        report = ok(owner.client.get(f"/api/training/jobs/{tuned['id']}/results"))
        assert 0 < report["lowered_by"] < 1
        assert report["first_loss_per_char"] > report["last_loss_per_char"] >= report["lowest_loss_per_char"]
        assert 0 < report["trigram_loss_per_char"] < 1, "eight rows that are held out too"
        assert report["num_trained_parameters"] < report["num_parameters"]
        assert len(report["answers"]) == 5
        for told in report["answers"]:
            assert told["before"] != told["after"] == told["expected"]

    def test_report_is_a_page_that_stands_by_itself(self, owner: Account, tuned: dict[str, Any]) -> None:
        """R-TRAIN-4: for people; it runs nothing and asks nobody."""
        answer = owner.client.get(f"/api/training/jobs/{tuned['id']}/report")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "<script" not in answer.text
        for row in ROWS[:5]:
            assert answer.text.count(row["answer"]) == 2, "what the dataset says and what the model says now"
        assert "character trigram" in answer.text

    def test_adapter_is_a_version_of_its_kind_with_its_base(self, owner: Account, tuned: dict[str, Any]) -> None:
        """R-MODEL-1: kind and format, and the lineage names the base."""
        (version,) = ok(owner.client.get("/api/models/answers"))["versions"]
        assert (version["kind"], version["format"]) == ("adapter", "safetensors")
        (base,) = ok(owner.client.get("/api/models/foreign"))["versions"]
        assert version["lineage"]["base_version_id"] == base["version_id"]

    def test_no_adapter_on_an_adapter(self, owner: Account, tuned: dict[str, Any]) -> None:
        said = refused(start(owner, model="answers"), 400, "base_model_unfit")
        assert "it is an adapter: train its base" in said

    def test_goes_on_from_a_checkpoint(self, owner: Account, tuned: dict[str, Any], world: World) -> None:
        """R-TRAIN-6: a new run from any checkpoint, on the base of the run that made it."""
        saved = ok(owner.client.get(f"/api/train/checkpoints?runId={tuned['id']}"))[0]
        job = ok(start(owner, init_checkpoint_id=saved["id"], max_steps=saved["step"] + 5), 202)
        assert job["spec"]["base_version_id"] == tuned["spec"]["base_version_id"]
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(ok(owner.client.get(f"/api/training/jobs/{job['id']}")))
            return found["finished_at"] is not None

        world.engine.wait(ended, "the run has ended", within_s=60)
        assert (found["status"], found["step"]) == ("succeeded", saved["step"] + 5), found["error"]


class TestRefusals:
    @pytest.mark.parametrize("method", ["sft", "lora", "pretrain"])
    def test_encoder_is_refused_at_once(self, owner: Account, tmp_path: Path, method: str) -> None:
        """R-TRAIN-3: chat tuning an encoder, with the reason and the method that would fit."""
        folder = make_model(tmp_path / "model")
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        config = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 300}
        send(owner, f"encoder-{method}", files | {"config.json": json.dumps(config).encode()})
        body = {"model": f"encoder-{method}", "dataset": "rows", "method": method}
        answer = owner.client.post("/api/training/jobs", json=body)
        said = refused(answer, 400, "method_unfit")
        assert "BertForMaskedLM is an encoder" in said
        assert "mlm" in said

    def test_other_architecture_is_refused_at_once(self, owner: Account, tmp_path: Path) -> None:
        folder = make_model(tmp_path / "model")
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
        send(owner, "gpt2", files | {"config.json": json.dumps(config).encode()})
        answer = owner.client.post("/api/training/jobs", json={"model": "gpt2", "dataset": "rows", "method": "sft"})
        assert "its architecture is GPT2LMHeadModel" in refused(answer, 400, "base_model_unfit")
