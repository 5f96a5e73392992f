"""Models are optimised through the API by a real worker, measured, gated and promoted (R-OPT-1 to 3, R-MODEL-2)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.chat.conftest import silent_world, world
from tests.api.chat.world import World, ok, refused
from tests.api.models.test_served import send
from tests.api.optimizations.asking import OPTIMIZATIONS, SHORT, chats, optimize, version_of, wait_for
from tests.support.gateway import Account
from tests.trainer_worker.optimize.test_methods import make_adapter
from tests.trainer_worker.training.foreign import make_model
from tests.trainer_worker.training.work_folder import questions

__all__ = ["silent_world", "world"]
ROWS = questions(4)


@pytest.fixture(scope="module")
def owner(silent_world: World, sign_up: Callable[[], Account], tmp_path_factory: pytest.TempPathFactory) -> Account:
    """Someone with a tiny Llama, rows to measure it on, and a worker that optimises."""
    silent_world.engine.start_dispatcher()
    silent_world.engine.start_worker("optimize.cpu")
    made = sign_up()
    folder = make_model(tmp_path_factory.mktemp("foreign") / "model")
    send(made, "foreign", {path.name: path.read_bytes() for path in folder.iterdir()})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
    files = {"dataset": ("rows.jsonl", lines), "test": ("test.jsonl", lines)}
    ok(made.client.post("/api/datasets/upload", files=files, data={"name": "rows"}))
    return made


@pytest.fixture(scope="module")
def pruned(owner: Account, silent_world: World) -> dict[str, Any]:
    """A form that cannot pass its gate: nothing is a thousand times as fast."""
    gate = {"min_speedup": 1_000, "max_perplexity_increase": 1e9}
    return optimize(owner, silent_world, model="foreign", method="prune-magnitude", sparsity=0.5, gate=gate)


class TestPruned:
    def test_half_of_the_weights_are_zero_and_both_were_measured(self, owner: Account, pruned: dict[str, Any]) -> None:
        """R-OPT-1, R-OPT-2: bytes, loss, perplexity, times and memory, on the same rows."""
        report = pruned["report"]
        assert report["check"]["zeros"] == report["check"]["pruned_weights"] // 2
        assert (report["held_out"]["source"], report["held_out"]["rows"]) == ("test split", 4)
        for measured in (report["before"], report["after"]):
            assert measured["missing"] == {}
            assert min(measured["tokens_per_s"], measured["first_token_ms"], measured["peak_memory_bytes"]) > 0
        assert report["before"]["perplexity"] != report["after"]["perplexity"]
        assert report["agreement"]["prompts"] == 3

    def test_version_names_what_it_was_made_from(self, owner: Account, pruned: dict[str, Any]) -> None:
        """R-MODEL-1, R-MODEL-2: kind, format and lineage, in the graph too."""
        version = version_of(owner, pruned["model_version_id"])
        assert (version["kind"], version["format"], pruned["model_name"]) == (
            "pruned",
            "safetensors",
            "foreign-prune-magnitude",
        )
        (base,) = ok(owner.client.get("/api/models/foreign"))["versions"]
        graph = ok(owner.client.get(f"/api/models/{pruned['model_version_id']}/lineage"))
        edges = {(edge["source"], edge["target"]) for edge in graph["edges"]}
        job_id = pruned["job"]["id"]
        assert {(base["version_id"], job_id), (job_id, pruned["model_version_id"])} <= edges

    def test_report_is_a_page_that_stands_by_itself(self, owner: Account, pruned: dict[str, Any]) -> None:
        """R-OPT-2: for people, with bars; it runs nothing and asks nobody."""
        answer = owner.client.get(f"{OPTIMIZATIONS}/{pruned['job']['id']}/report")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.text.count("<svg") == 5
        assert "1000 times is asked for" in answer.text
        assert "<script" not in answer.text

    def test_missed_gate_becomes_nobodys_champion(self, owner: Account, pruned: dict[str, Any]) -> None:
        """R-OPT-2: kept, told, and refused with the numbers."""
        assert pruned["promotable"] is False
        body = {"version_id": pruned["model_version_id"]}
        answer = owner.client.put("/api/models/foreign/aliases/champion", json=body)
        said = refused(answer, 409, "alias_gate_missed")
        assert "tokens/s where" in said
        assert "1000 times is asked for" in said

    def test_measured_again_it_finds_the_same(
        self, owner: Account, silent_world: World, pruned: dict[str, Any]
    ) -> None:
        """R-OPT-2: the figures of a report can be recomputed; a check makes no version."""
        path = f"{OPTIMIZATIONS}/{pruned['job']['id']}/check"
        found = wait_for(owner, silent_world, ok(owner.client.post(path), 202)["job"]["id"])
        assert (found["check_of"], found["model_version_id"]) == (pruned["job"]["id"], None)
        differences = {one["name"]: one for one in found["differences"]}
        assert differences["after.perplexity"]["reported"] == pruned["report"]["after"]["perplexity"]
        repeated = [one["repeats"] for one in differences.values() if one["repeats"] is not None]
        assert len(repeated) == 11
        assert all(repeated), found["differences"]
        assert differences["before.tokens_per_s"]["repeats"] is None
        assert len(ok(owner.client.get("/api/models/foreign-prune-magnitude"))["versions"]) == 1

    def test_it_is_in_the_list(self, owner: Account, pruned: dict[str, Any]) -> None:
        found = ok(owner.client.get(f"{OPTIMIZATIONS}?status=succeeded"))
        assert pruned["job"]["id"] in [one["job"]["id"] for one in found]


class TestAliases:
    def test_alias_is_set_asked_by_and_rolled_back(self, owner: Account, pruned: dict[str, Any]) -> None:
        """R-MODEL-2: `model@alias` is the version that it points at, also one that was made from the model's."""
        (base,) = ok(owner.client.get("/api/models/foreign"))["versions"]
        path = "/api/models/foreign/aliases/trial"
        assert refused(owner.client.post(f"{path}/rollback"), 404, "alias_not_found")
        first = ok(owner.client.put(path, json={"version_id": base["version_id"]}))
        assert first["former_version_id"] is None
        assert refused(owner.client.post(f"{path}/rollback"), 409, "alias_no_former")
        second = ok(owner.client.put(path, json={"version_id": pruned["model_version_id"]}))
        assert second["former_version_id"] == base["version_id"]
        answer = owner.client.get("/v1/models/foreign@trial")
        assert answer.json()["id"] == "foreign@trial"
        told = refused(owner.client.delete(f"/api/models/{pruned['model_id']}"), 409, "model_aliased")
        assert "foreign@trial" in told
        back = ok(owner.client.post(f"{path}/rollback"))
        assert (back["model_version_id"], back["former_version_id"]) == (
            base["version_id"],
            pruned["model_version_id"],
        )
        assert [one["name"] for one in ok(owner.client.get("/api/models/foreign/aliases"))] == ["trial"]
        ok(owner.client.delete(path))
        assert ok(owner.client.get("/api/models/foreign/aliases")) == []

    def test_version_of_something_else_is_refused(self, owner: Account, tmp_path: Path) -> None:
        folder = make_model(tmp_path / "model", is_tied=False)
        send(owner, "other", {path.name: path.read_bytes() for path in folder.iterdir()})
        (sent,) = ok(owner.client.get("/api/models/other"))["versions"]
        body = {"version_id": sent["version_id"]}
        assert refused(owner.client.put("/api/models/foreign/aliases/champion", json=body), 400, "alias_foreign")


class TestFormats:
    @pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing")  # that is how peft asks
    def test_adapter_is_merged_into_its_base(self, owner: Account, world: World, tmp_path: Path) -> None:
        """R-OPT-1, R-OPT-3: one model, whose answers are those of the adapter; the adapter brings its base."""
        adapter = make_adapter(tmp_path / "adapter", make_model(tmp_path / "base", is_tied=False))
        files = {path.name: path.read_bytes() for path in adapter.iterdir() if path.is_file()}
        files |= {f"base/{path.name}": path.read_bytes() for path in (adapter / "base").iterdir()}
        send(owner, "adapter", {name: body for name, body in files.items() if name != "README.md"})
        found = optimize(owner, world, model="adapter", method="merge", name="merged")
        version = version_of(owner, found["model_version_id"])
        assert (version["kind"], version["format"]) == ("tuned", "safetensors")
        report = found["report"]
        assert report["check"]["logits_deviation"] <= report["check"]["tolerance"]
        assert report["agreement"]["share"] == 1.0
        assert abs(report["gate"]["perplexity_increase"]) < 1e-4
        chats(owner, world, found, "transformers")

    def test_gguf_is_read_back_by_both_readers(self, owner: Account, world: World) -> None:
        """R-OPT-1, R-OPT-3: q8_0; what cannot be measured is null, with the reason."""
        found = optimize(owner, world, model="foreign", method="gguf", precision="q8_0")
        report, version = found["report"], version_of(owner, found["model_version_id"])
        assert (version["kind"], version["format"]) == ("quantised", "gguf")
        assert report["check"]["read_by"] == "gguf, transformers"
        assert 0 < report["check"]["largest_tensor_deviation"] < 0.01
        assert report["after"]["bytes"] < 0.4 * report["before"]["bytes"]
        assert report["after"]["tokens_per_s"] is None
        assert "no engine here runs GGUF" in report["after"]["missing"]["tokens_per_s"]
        assert abs(report["gate"]["perplexity_increase"]) < 0.01
        chats(owner, world, found, "transformers")

    def test_onnx_int8_runs_in_onnxruntime(self, owner: Account, world: World) -> None:
        """R-OPT-1, R-OPT-3: generation included; the graph in float32 was equal before it was quantised."""
        gate = {"max_perplexity_increase": 0.05}
        found = optimize(owner, world, model="foreign", method="onnx-int8", gate=gate)
        report, version = found["report"], version_of(owner, found["model_version_id"])
        assert (version["kind"], version["format"]) == ("quantised", "onnx")
        assert report["after"]["runtime"] == "onnxruntime"
        assert report["check"]["quantised_products"] == 14, "7 in each of two layers; the output shares the embedding"
        assert report["gate"]["passed"], report["gate"]
        assert found["promotable"] is True
        body = {"version_id": found["model_version_id"]}
        ok(owner.client.put("/api/models/foreign/aliases/champion", json=body))
        chats(owner, world, found, "onnxruntime")

    def test_openvino_int8_is_served_as_it_is_kept(self, owner: Account, world: World) -> None:
        """R-OPT-1 to 3: weights alone are in 8 bits."""
        found = optimize(owner, world, model="foreign", method="openvino-int8")
        report, version = found["report"], version_of(owner, found["model_version_id"])
        assert (version["kind"], version["format"]) == ("quantised", "openvino")
        assert report["after"]["runtime"].startswith("openvino, ")
        assert report["check"]["compressed_weights"]["u8"] > 50_000
        assert report["after"]["bytes"] < 0.4 * report["before"]["bytes"]
        chats(owner, world, found, "openvino")


class TestStructured:
    def test_smaller_model_is_trained_on_and_served(self, owner: Account, world: World) -> None:
        """R-OPT-1, R-OPT-3: it learns from the rows that are not held out; what is measured is asked as any other."""
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in questions(24))
        files = {"dataset": ("more.jsonl", lines)}
        ok(owner.client.post("/api/datasets/upload", files=files, data={"name": "more"}))
        recovery = {"dataset": "more", "steps": 3, "learning_rate": 1e-3}
        found = optimize(owner, world, model="foreign", method="prune-structured", head_sparsity=0.5, recovery=recovery)
        report, version = found["report"], version_of(owner, found["model_version_id"])
        assert (version["kind"], version["format"]) == ("pruned", "safetensors")
        assert version["num_parameters"] == report["check"]["after"]["weights"] < report["check"]["before"]["weights"]
        assert report["check"]["recovery"]["steps"] == 3
        assert report["settings"]["recovery"]["dataset_version_id"].startswith("dsv_")
        chats(owner, world, found, "transformers")


class TestLeaving:
    def test_cancelled_leaves_no_version(self, owner: Account, silent_world: World) -> None:
        """R-OPT-1: nothing half-done stays."""
        job_id = begin(owner, silent_world, "never")
        answer = owner.client.get(f"{OPTIMIZATIONS}/{job_id}/report")
        assert "is not there yet" in refused(answer, 409, "optimization_not_ready")
        ok(owner.client.post(f"/api/jobs/{job_id}/cancel"))
        silent_world.engine.wait_status(job_id, "cancelled", within_s=60)
        assert owner.client.get("/api/models/never").status_code == 404
        assert not list((silent_world.engine.folder / "work").glob(f"{job_id}/*"))

    def test_paused_begins_anew_and_makes_one_version(self, owner: Account, silent_world: World) -> None:
        """R-JOB-1, R-OPT-1: what was begun is thrown away."""
        job_id = begin(owner, silent_world, "later")  # the child leaves when it is done with what it is at
        ok(owner.client.post(f"/api/jobs/{job_id}/pause"))
        silent_world.engine.wait_status(job_id, "paused", within_s=60)
        assert owner.client.get("/api/models/later").status_code == 404
        ok(owner.client.post(f"/api/jobs/{job_id}/resume"))
        job = silent_world.engine.wait_status(job_id, "succeeded", "failed", within_s=200)
        assert (job.status, job.attempt) == ("succeeded", 2), job.error
        assert len(ok(owner.client.get("/api/models/later"))["versions"]) == 1


def begin(owner: Account, world: World, name: str) -> str:
    """An optimisation that a child works on."""
    body = SHORT | {"model": "foreign", "method": "prune-magnitude", "name": name}
    job_id: str = ok(owner.client.post(OPTIMIZATIONS, json=body), 202)["job"]["id"]

    def is_at_work() -> bool:
        found = ok(owner.client.get(f"{OPTIMIZATIONS}/{job_id}"))
        return found["job"]["progress"].get("phase") is not None

    world.engine.wait(is_at_work, "it is at work", within_s=120)
    return job_id


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ({"method": "merge"}, "it is no adapter"),
            ({"method": "gguf", "model": "gpt2"}, "its architecture is GPT2LMHeadModel"),
            ({"method": "onnx", "model": "scaled-int8"}, "its weights are quantised already"),
        ],
    )
    def test_told_before_it_is_queued(self, owner: Account, tmp_path: Path, body: dict[str, Any], reason: str) -> None:
        """R-OPT-1: what cannot be done, with the reason."""
        folder = make_model(tmp_path / "model")
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        config = json.loads(files["config.json"])
        other = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}
        quantised = config | {"quantization_config": {"quant_method": "torchao"}}
        send(owner, "gpt2", files | {"config.json": json.dumps(other).encode()})
        send(owner, "scaled-int8", files | {"config.json": json.dumps(quantised).encode()})
        answer = owner.client.post(OPTIMIZATIONS, json=SHORT | {"model": "foreign"} | body)
        assert reason in refused(answer, 400, "optimization_unfit")

    def test_model_of_unknown_rows_needs_a_dataset(self, owner: Account) -> None:
        body = {"model": "foreign", "method": "onnx"}
        assert refused(owner.client.post(OPTIMIZATIONS, json=body), 400, "optimization_no_dataset")

    @pytest.mark.parametrize(
        "body",
        [
            {"method": "onnx", "sparsity": 0.5},
            {"method": "onnx", "precision": "f16"},
            {"method": "onnx", "recovery": {"steps": 3}},
            {"method": "prune-magnitude", "head_sparsity": 0.5},
            {"method": "gguf", "gate": {"min_speedup": 2}},
            {"method": "int3"},
            {"method": "onnx", "gate": {"min_speedup": "nan"}},
        ],
    )
    def test_setting_that_would_be_ignored(self, owner: Account, body: dict[str, Any]) -> None:
        """R-OPT-1: refused, never left out."""
        assert owner.client.post(OPTIMIZATIONS, json={"model": "foreign"} | body).status_code == 422
