"""An alias moves while clients ask by it (R-MODEL-2): no request fails, and none waits for the new version."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from safetensors.torch import load_file, save_file

from simorgh_shared.db.models import ModelVersion
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry
from tests.api.chat.world import SHORT, World, ok
from tests.support.gateway import Account

_NUM_CLIENTS = 6


@pytest.fixture(scope="module")
def versions(
    world: World, sign_up: Callable[[], Account], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Account, str, str]:
    """Someone whose model `bird` has two versions that say different things, and those."""
    account = sign_up()
    model_id, first = world.add_model(account.project_id, "bird")
    folder = tmp_path_factory.mktemp("second") / "bird"
    shutil.copytree(world.model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: -tensor for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    return account, first, _add_version(world, model_id, folder)


def _add_version(world: World, model_id: str, folder: Path) -> str:
    store, sessions = world.engine.store, world.engine.sessions
    stored = [Entry(path.name, store.put(sessions, path)) for path in sorted(folder.iterdir())]
    with sessions.begin() as session:
        made = manifests.create(session, "model", stored)
        version = ModelVersion(
            id=new_id("mver"),
            model_id=model_id,
            version=2,
            kind="base",
            format="safetensors",
            manifest_id=made,
            bytes=1,
        )
        session.add(version)
        return version.id


def _text(account: Account, model: str) -> str:
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "بگو"}]} | SHORT
    answer = httpx.post(
        f"{account.client.base_url}/v1/chat/completions", json=body, headers=account.client.headers, timeout=60
    )
    assert answer.status_code == 200, answer.text
    said: str = answer.json()["choices"][0]["message"]["content"]
    return said


class TestChampion:
    def test_takes_over_with_no_failed_request(self, world: World, versions: tuple[Account, str, str]) -> None:
        """R-MODEL-2, R-CHAT-4: loaded before it is asked; who asks after the change asks the new one; and back."""
        account, first, second = versions
        path = "/api/models/bird/aliases/champion"
        ok(account.client.put(path, json={"version_id": first}))
        before = _text(account, "bird@champion")
        assert set(world.loaded()) == {first}, "nobody asks the second one yet"
        over, said = threading.Event(), list[str]()

        def ask_again_and_again() -> None:
            while not over.is_set():
                said.append(_text(account, "bird@champion"))

        with ThreadPoolExecutor(_NUM_CLIENTS) as clients:
            asking = [clients.submit(ask_again_and_again) for _ in range(_NUM_CLIENTS)]
            try:
                ok(account.client.put(path, json={"version_id": second}))
                assert set(world.loaded()) == {first, second}
                after = _text(account, "bird@champion")
                ok(account.client.post(f"{path}/rollback"))
                assert _text(account, "bird@champion") == before
            finally:
                over.set()
            for one in asking:
                one.result()
        assert before != after == _text(account, second)
        assert set(said) <= {before, after}
        assert len(said) > _NUM_CLIENTS

    def test_what_cannot_be_served_may_be_pointed_at(self, world: World, versions: tuple[Account, str, str]) -> None:
        """R-MODEL-2: an alias may be of a form for other programs, and of a project whose server does not answer."""
        account, first, second = versions
        with world.engine.sessions.begin() as session:
            session.get_one(ModelVersion, second).format = "gguf"
        path = "/api/models/bird/aliases/file"
        ok(account.client.put(path, json={"version_id": first}))
        assert ok(account.client.put(path, json={"version_id": second}))["model_version_id"] == second
