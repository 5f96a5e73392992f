"""Models of a project over HTTP: listed, found where they really lie, deleted (R-MODEL-1)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import sqlalchemy as sa

from tests.api.chat.world import World, ok, refused
from tests.support.gateway import Account

_FOUR_HUNDRED_FILES = sa.text(
    """
    WITH files AS (
        SELECT 'part-' || n AS path, encode(sha256(convert_to(:version_id || n, 'UTF8')), 'hex') AS sha256
        FROM generate_series(1, 400) n
    ), stored AS (
        INSERT INTO blobs (sha256, key, bytes) SELECT sha256, 'nowhere/' || sha256, 1 FROM files
    )
    INSERT INTO manifest_entries (manifest_id, path, sha256, bytes)
    SELECT v.manifest_id, f.path, f.sha256, 1 FROM files f, model_versions v WHERE v.id = :version_id
    """
)


@pytest.fixture(scope="module")
def owner(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


def ask(account: Account, model: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "سلام"}], "max_tokens": 2}
    return account.client.post("/v1/chat/completions", json=body, timeout=60)


def detected(account: Account) -> dict[str, Any]:
    answer = account.client.get("/api/models/detected")
    assert answer.status_code == 200, answer.text
    return answer.json()


def own_folder(world: World, folder: Path) -> Path:
    """The tiny model with a file that no other model shares."""
    folder.mkdir()
    for path in world.model_folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "only-here.json").write_text(json.dumps({"folder": str(folder)}))
    return folder


def break_object(world: World, folder: Path, body: bytes | None) -> None:
    """Delete the object of the file that is only here, or put other bytes in its place."""
    store = world.engine.store
    blob = store.put(world.engine.sessions, folder / "only-here.json")
    if body is None:
        store.client.delete_object(Bucket=store.bucket, Key=blob.key)
    else:
        store.client.put_object(Bucket=store.bucket, Key=blob.key, Body=body)


class TestDetected:
    """In the order in which the inference server comes up."""

    def test_it_answers_without_the_inference_server(self, silent_world: World, owner: Account) -> None:
        """R-MODEL-1: what is not known is null, with the reason."""
        _, version_id = silent_world.add_model(owner.project_id)
        found = detected(owner)
        assert found["inference_error"] == "The inference server does not answer. Try again in 5 s."
        assert [(one["version_id"], one["storage"], one["cached"], one["loaded"]) for one in found["data"]] == [
            (version_id, "present", None, None)
        ]
        (listed,) = owner.client.get("/v1/models").json()["data"]
        assert (listed["simorgh"]["version_id"], listed["simorgh"]["loaded"]) == (version_id, None)

    @pytest.mark.parametrize("body", [None, b"cut"])
    def test_an_object_that_is_gone_or_cut_makes_a_version_missing(
        self, silent_world: World, sign_up: Callable[[], Account], tmp_path: Path, body: bytes | None
    ) -> None:
        """R-MODEL-1: the storage is asked, not the database."""
        account = sign_up()
        folder = own_folder(silent_world, tmp_path / "model")
        model_id, version_id = silent_world.add_model(account.project_id, "broken", folder)
        _, whole_id = silent_world.add_model(account.project_id, "whole")
        break_object(silent_world, folder, body)
        found = {one["version_id"]: one for one in detected(account)["data"]}
        assert {id_: one["storage"] for id_, one in found.items()} == {version_id: "missing", whole_id: "present"}
        assert (found[version_id]["model_id"], found[version_id]["name"]) == (model_id, "broken")

    def test_it_tells_what_the_inference_server_has(self, silent_world: World, owner: Account) -> None:
        """R-MODEL-1: cached and loaded once it was asked, neither for a version that nobody asked."""
        silent_world.start_inference()
        _, asked_id = silent_world.add_model(owner.project_id, "asked")
        assert ask(owner, "asked").status_code == 200
        found = detected(owner)
        assert found["inference_error"] is None
        states = {one["version_id"]: (one["storage"], one["cached"], one["loaded"]) for one in found["data"]}
        assert states.pop(asked_id) == ("present", True, True)
        assert set(states.values()) == {("present", False, False)}
        engines = {one["version_id"]: one["engine"] for one in found["data"] if one["engine"]}
        assert set(engines) == {asked_id}
        assert (engines[asked_id]["engine"], engines[asked_id]["device"]) == ("transformers", "cpu")
        told = {one["simorgh"]["version_id"]: one["simorgh"] for one in owner.client.get("/v1/models").json()["data"]}
        assert told[asked_id] == engines[asked_id] | {"version_id": asked_id, "loaded": True}
        assert not any(one["loaded"] for version_id, one in told.items() if version_id != asked_id)
        assert owner.client.get("/v1/models/asked").json()["simorgh"] == told[asked_id]

    def test_pages_reach_every_version_once(self, silent_world: World, sign_up: Callable[[], Account]) -> None:
        """R-API-3."""
        account = sign_up()
        made = [silent_world.add_model(account.project_id, name)[1] for name in "abc"]
        seen, cursor = [], None
        while cursor is not None or not seen:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = account.client.get("/api/models/detected", params=params).json()
            seen += [one["version_id"] for one in page["data"]]
            cursor = page["next_cursor"]
        assert seen == sorted(made, reverse=True)

    def test_a_page_asks_for_a_bounded_number_of_objects(
        self, silent_world: World, sign_up: Callable[[], Account]
    ) -> None:
        """R-MODEL-1: versions of many files come in shorter pages; none is left out."""
        account = sign_up()
        made = [silent_world.add_model(account.project_id, name)[1] for name in "abc"]
        with silent_world.engine.sessions.begin() as session:
            for version_id in made:
                session.execute(_FOUR_HUNDRED_FILES, {"version_id": version_id})
        first = detected(account)
        assert [one["storage"] for one in first["data"]] == ["missing", "missing"]
        second = account.client.get("/api/models/detected", params={"cursor": first["next_cursor"]}).json()
        assert [one["version_id"] for one in first["data"] + second["data"]] == sorted(made, reverse=True)
        assert second["next_cursor"] is None


class TestModels:
    def test_lists_are_paged_and_whole(self, silent_world: World, sign_up: Callable[[], Account]) -> None:
        """R-MODEL-1, R-API-3."""
        account = sign_up()
        made = [silent_world.add_model(account.project_id, name) for name in "abc"]
        first = account.client.get("/api/models/list", params={"limit": 2}).json()
        params = {"limit": 2, "cursor": first["next_cursor"]}
        second = account.client.get("/api/models/list", params=params).json()
        listed = first["data"] + second["data"]
        assert second["next_cursor"] is None
        assert [(one["id"], one["versions"][0]["version_id"]) for one in listed] == sorted(made, reverse=True)
        assert ok(account.client.get(f"/api/models/{made[0][0]}")) == listed[-1]
        foreign = account.client.get("/api/models/list", params={"cursor": "bW9kZWw"})
        refused(foreign, 400, "invalid_cursor")

    def test_a_deleted_model_is_gone_and_its_name_is_free(
        self, silent_world: World, sign_up: Callable[[], Account]
    ) -> None:
        """R-MODEL-1: by none of its names is it answered any more, until its name is another's."""
        account = sign_up()
        model_id, version_id = silent_world.add_model(account.project_id)
        assert ask(account, "noise").status_code == 200
        assert ok(account.client.delete(f"/api/models/{model_id}")) == {"id": model_id, "deleted": True}
        for name in ("noise", model_id, version_id):
            assert (ask(account, name).status_code, ask(account, name).json()["error"]["code"]) == (
                404,
                "model_not_found",
            )
        refused(account.client.get(f"/api/models/{model_id}"), 404, "model_not_found")
        refused(account.client.delete(f"/api/models/{model_id}"), 404, "model_not_found")
        assert (ok(account.client.get("/api/models/list")), detected(account)["data"]) == ([], [])
        again_id, _ = silent_world.add_model(account.project_id)
        assert ask(account, "noise").status_code == 200
        assert [one["id"] for one in ok(account.client.get("/api/models/list"))] == [again_id]

    def test_anothers_model_does_not_exist(self, silent_world: World, sign_up: Callable[[], Account]) -> None:
        """R-MODEL-1, R-AUTH-4."""
        mine, other = sign_up(), sign_up()
        model_id, version_id = silent_world.add_model(mine.project_id)
        refused(other.client.get(f"/api/models/{model_id}"), 404, "model_not_found")
        refused(other.client.delete(f"/api/models/{model_id}"), 404, "model_not_found")
        assert ask(other, version_id).status_code == 404
        assert detected(other)["data"] == []
        assert ok(mine.client.get(f"/api/models/{model_id}"))["name"] == "noise"


class TestOpenAI:
    def test_the_stock_client_lists_all_and_retrieves_one(
        self, silent_world: World, sign_up: Callable[[], Account]
    ) -> None:
        """R-CHAT-1: more than 200 models, and one by each of its names, whatever characters they have."""
        account = sign_up()
        name = "گفتار/خانه ۲"
        model_id, version_id = silent_world.add_model(account.project_id, name)
        made = {silent_world.add_model(account.project_id, f"m{number}")[0] for number in range(204)}
        with openai.OpenAI(base_url=f"{account.client.base_url}/v1", api_key=account.access_token) as sdk:
            listed = list(sdk.models.list())
            assert {one.id for one in listed} == made | {model_id}
            assert listed[-1].id == model_id
            for asked in (model_id, version_id, name):
                found = sdk.models.retrieve(asked)
                assert (found.id, found.object, found.created) == (asked, "model", listed[-1].created)
            with pytest.raises(openai.NotFoundError, match="There is no model nothing") as refusal:
                sdk.models.retrieve("nothing")
            assert refusal.value.code == "model_not_found"

    @pytest.mark.parametrize("model", [None, 7, "", "\ud800"])
    def test_a_name_that_is_none_is_refused(self, owner: Account, model: object) -> None:
        """R-CHAT-1, R-API-3: with a sentence in OpenAI's shape."""
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}]})
        headers = {"content-type": "application/json"}
        answer = owner.client.post("/v1/chat/completions", content=body.encode(), headers=headers)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"].startswith("The request body does not fit: model: ")
