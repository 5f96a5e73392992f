"""Where a model comes from, over HTTP, after real runs: the graph, its signed manifest, the files (R-MODEL-2)."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from simorgh_shared import attestation
from tests.api.chat.world import World, ok, refused
from tests.support import model_files
from tests.support.engine import TINY
from tests.support.gateway import Account, Gateway, running_gateway

ROWS = "".join(
    json.dumps({"question": f"پرسش {n} چیست؟", "answer": f"پاسخ {n} این است."}, ensure_ascii=False) + "\n"
    for n in range(40)
)


@dataclass(frozen=True)
class Family:
    """A model from nothing, one that was trained further from it, and one that began at its first run's checkpoint."""

    account: Account
    dataset: dict[str, Any]
    first: dict[str, Any]
    second: dict[str, Any]
    third: dict[str, Any]
    checkpoint_id: str

    def lineage(self, name: str) -> dict[str, Any]:
        """The graph of a version."""
        found: dict[str, Any] = ok(self.account.client.get(f"/api/models/{name}/lineage"))
        return found


@pytest.fixture(scope="module")
def family(silent_world: World, sign_up: Callable[[], Account]) -> Family:
    silent_world.engine.start_dispatcher()
    silent_world.engine.start_worker()
    account = sign_up()
    files = {"dataset": ("rows.jsonl", ROWS)}
    dataset = ok(account.client.post("/api/datasets/upload", files=files, data={"name": "rows"}))

    def run(**changes: Any) -> dict[str, Any]:
        body = TINY | {"dataset": "rows", "max_steps": 10} | changes
        if body["model"] != TINY["model"]:
            del body["vocab_size"]  # a model brings its own
        job_id = ok(account.client.post("/api/training/jobs", json=body), 202)["id"]
        silent_world.engine.wait_status(job_id, "succeeded", "failed")
        job: dict[str, Any] = ok(account.client.get(f"/api/training/jobs/{job_id}"))
        assert job["status"] == "succeeded", job["error"]
        return job

    first = run(name="first")
    saved = ok(account.client.get(f"/api/train/checkpoints?runId={first['id']}"))[0]["id"]
    second = run(name="second", model="first")
    third = run(name="third", init_checkpoint_id=saved, max_steps=15)
    return Family(account, dataset, first, second, third, saved)


def kinds(graph: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node in graph["nodes"]:
        found.setdefault(node["kind"], []).append(node["id"])
    return found


def edges(graph: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(edge["source"], edge["relation"], edge["target"]) for edge in graph["edges"]}


def version_of(job: dict[str, Any]) -> str:
    version_id: str = job["result"]["model_version_id"]
    return version_id


class TestLineage:
    def test_from_the_bytes_of_the_dataset_to_what_was_made_of_it(self, family: Family) -> None:
        """R-MODEL-2: dataset, tokenizer, job, checkpoint, version, and the version that was trained further."""
        graph = family.lineage("first")
        first, second = version_of(family.first), version_of(family.second)
        found = kinds(graph)
        assert (graph["version_id"], graph["truncated"]) == (first, False)
        assert sorted(found["model_version"]) == sorted([first, second])
        assert sorted(found["job"]) == sorted([family.first["id"], family.second["id"]])
        (dataset_id,), (tokenizer_id, *more) = found["dataset_version"], found["tokenizer"]
        assert more == [], "a model that was trained further has the tokenizer of its base"
        assert edges(graph) >= {
            (dataset_id, "trained", tokenizer_id),
            (dataset_id, "used", family.first["id"]),
            (tokenizer_id, "used", family.first["id"]),
            (tokenizer_id, "part_of", first),
            (family.first["id"], "made", first),
            (family.first["id"], "saved", family.checkpoint_id),
            (family.checkpoint_id, "led_to", first),
            (first, "trained_further", family.second["id"]),
            (family.second["id"], "made", second),
        }

    def test_hashes_are_those_of_the_bytes(self, family: Family) -> None:
        """R-MODEL-2: of the rows as they were sent, and of each file of the model."""
        nodes = {node["id"]: node for node in family.lineage("first")["nodes"]}
        assert nodes[family.dataset["version_id"]]["sha256"] == {"train": hashlib.sha256(ROWS.encode()).hexdigest()}
        files = nodes[version_of(family.first)]["sha256"]
        assert {"model.safetensors", "config.json", "tokenizer.json", "lineage.json"} <= set(files)
        assert f"tokenizer:{files['tokenizer.json']}" in nodes

    def test_upstream_passes_through_checkpoints_and_bases(self, family: Family) -> None:
        """R-MODEL-2: whole, over generations; a sibling is neither before nor after."""
        third = family.lineage(version_of(family.third))
        assert (family.checkpoint_id, "started", family.third["id"]) in edges(third)
        assert family.first["id"] in kinds(third)["job"]
        assert version_of(family.second) not in kinds(third)["model_version"]
        second = family.lineage("second")
        assert version_of(family.first) in kinds(second)["model_version"]
        assert (family.first["id"], "made", version_of(family.first)) in edges(second)

    def test_what_was_deleted_is_there_and_marked(self, silent_world: World, sign_up: Callable[[], Account]) -> None:
        """R-MODEL-2: by its ids it is still found."""
        account = sign_up()
        files = [("files", (path, body)) for path, body in model_files.base_folder().items()]
        made = ok(account.client.post("/api/models/upload", files=files, data={"name": "gone"}))
        ok(account.client.delete(f"/api/models/{made['id']}"))
        graph = ok(account.client.get(f"/api/models/{made['version_id']}/lineage"))
        (node,) = [node for node in graph["nodes"] if node["kind"] == "model_version"]
        assert (node["deleted"], node["name"]) == (True, "gone")
        assert (f"upload:{made['version_id']}", "sent", made["version_id"]) in edges(graph)
        refused(account.client.get("/api/models/gone/lineage"), 404, "model_not_found")

    def test_anothers_lineage_does_not_exist(self, family: Family, sign_up: Callable[[], Account]) -> None:
        """R-MODEL-2, R-AUTH-4."""
        other = sign_up().client
        for what in ("lineage", "manifest", "download"):
            refused(other.get(f"/api/models/{version_of(family.first)}/{what}"), 404, "model_not_found")


class TestManifest:
    def test_it_is_signed_stable_and_names_every_file(self, family: Family) -> None:
        """R-MODEL-2: the key that the platform tells has signed files and lineage; asking again changes nothing."""
        client = family.account.client
        key = ok(client.get("/api/models/signing-key"))
        envelope = ok(client.get("/api/models/second/manifest"))
        statement = attestation.read(envelope, key["public_key"])
        assert statement.key_ids == (key["key_id"],)
        (node,) = [n for n in family.lineage("second")["nodes"] if n["id"] == version_of(family.second)]
        assert statement.files == node["sha256"]
        assert {one["kind"] for one in statement.predicate["nodes"]} >= {"dataset_version", "tokenizer", "job"}
        assert ok(client.get(f"/api/models/{version_of(family.second)}/manifest")) == envelope

    def test_what_is_made_later_does_not_change_it(self, family: Family) -> None:
        """R-MODEL-2: the base's manifest tells of what was before it."""
        envelope = ok(family.account.client.get("/api/models/first/manifest"))
        predicate = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
        assert version_of(family.second) not in {node["id"] for node in predicate["nodes"]}

    def test_without_a_key_it_says_what_to_set(self, family: Family, gateway: Gateway, tmp_path: Path) -> None:
        """R-MODEL-2: 503, and the variable."""
        same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
        with (
            running_gateway(tmp_path, **(same | {"SIMORGH_MANIFEST_KEY": ""})) as keyless,
            httpx.Client(base_url=keyless.url, headers=dict(family.account.client.headers)) as client,
        ):
            for path in ("/api/models/first/manifest", "/api/models/signing-key"):
                assert "SIMORGH_MANIFEST_KEY" in refused(client.get(path), 503, "manifest_key_missing")


class TestDownload:
    def test_the_archive_holds_the_files_and_their_hashes(self, family: Family) -> None:
        """R-MODEL-2: whole, with its length told before."""
        answer = family.account.client.get("/api/models/first/download")
        assert answer.headers["content-length"] == str(len(answer.content))
        assert answer.headers["x-simorgh-model-version"] == version_of(family.first)
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
            found = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
            told = {member.name: member.pax_headers["SIMORGH.sha256"] for member in archive}
        assert told == {name: hashlib.sha256(body).hexdigest() for name, body in found.items()}
        (node,) = [n for n in family.lineage("first")["nodes"] if n["id"] == version_of(family.first)]
        assert told == node["sha256"]
