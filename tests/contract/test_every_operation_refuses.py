"""Every operation of the contract, asked by those who may not: a new one is asked from its first day (reliability.md).

The controls show that a refusal is about who asks: the same requests of the owner are not refused so.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.support import model_files
from tests.support.gateway import Account, Gateway
from tests.support.stack import Database

_DOCUMENT = json.loads((Path(__file__).parents[2] / "contracts" / "openapi.json").read_text("utf-8"))
_METHODS = ("get", "post", "put", "patch", "delete")
_OPEN_TO_ALL = {
    "auth_login", "auth_refresh", "auth_register", "auth_verify",
    "health_livez", "health_livez_plain", "health_readyz", "health_readyz_api",
}  # fmt: skip
"""Nobody is signed in yet, or a probe asks. Whatever else declares no security fails below."""
_READERS_MAY = {
    "chat",
    "create_chat_completion",
    "create_completion",
    "create_conversation",
    "create_embedding",
    "delete_conversation",
    "edit_message",
    "regenerate_answer",
    "rename_conversation",
    "select_message",
}
"""What changes nothing but the reader's own conversations. All else that is no GET wants
`write` or more, or a person."""


@dataclass(frozen=True)
class Operation:
    """One of the contract."""

    id: str
    method: str
    path: str
    is_secured: bool

    def url(self, ids: dict[str, str]) -> str:
        """Its address, with ids for what it names."""
        return self.path.format_map(ids)


def _operations() -> list[Operation]:
    return [
        Operation(told["operationId"], method.upper(), path, bool(told.get("security")))
        for path, item in _DOCUMENT["paths"].items()
        for method, told in item.items()
        if method in _METHODS
    ]


SECURED = [one for one in _operations() if one.is_secured]


class _Ids(dict[str, str]):
    """What nobody made is called so."""

    def __missing__(self, name: str) -> str:
        return f"nothing_{name}"


@pytest.fixture(scope="module")
def owner(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


@pytest.fixture(scope="module")
def ids(owner: Account, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Ids of things that the owner has, by the names that paths give them."""
    client = owner.client

    def made(answer: httpx.Response) -> dict[str, Any]:
        assert answer.is_success, answer.text
        data: dict[str, Any] = answer.json().get("data") or answer.json()
        return data

    rows = "".join(json.dumps({"question": f"سلام {n}", "answer": "درود"}) + "\n" for n in range(20)).encode()
    dataset = made(client.post("/api/datasets/upload", files={"dataset": ("rows.jsonl", rows)}))
    folder = model_files.write(tmp_path_factory.mktemp("model"), model_files.base_folder())
    files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir())]
    model = made(client.post("/api/models/upload", files=files, data={"name": "tiny"}))
    job = made(client.post("/api/train/start", json={"modelName": "simorgh-2m", "datasetId": dataset["id"]}))
    conversation = made(client.post("/api/chat/conversations", json={"model": "tiny", "system": "کوتاه بگو."}))
    said = made(client.get("/api/chat/history", params={"conversation_id": conversation["id"]}))
    sent = {"filename": "big.jsonl", "bytes": 30_000_000}
    upload = made(client.post("/api/datasets/uploads", json=sent))
    file = made(client.post("/v1/files", files={"file": ("b.jsonl", rows)}, data={"purpose": "batch"}))
    return _Ids(
        dataset_id=dataset["id"], model_id=model["id"], model=model["id"], job_id=job["runId"],
        conversation_id=conversation["id"], message_id=said[0]["id"],  # type: ignore[index]
        upload_id=upload["id"], file_id=file["id"], project_id=owner.project_id,
        key_id=made(client.post("/api/keys", json={"name": "mine"}))["id"],
        session_id=made(client.get("/api/auth/sessions"))[0]["id"],  # type: ignore[index]
        alias="champion", clip="1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def keys(owner: Account, gateway: Gateway, database: Database) -> Iterator[dict[str, httpx.Client]]:
    """Clients with keys: of `read` alone, expired, revoked."""
    made = {}
    for name, scopes in (("read", ["read"]), ("expired", ["admin"]), ("revoked", ["admin"])):
        answer = owner.client.post("/api/keys", json={"name": name, "scopes": scopes}).json()["data"]
        made[name] = httpx.Client(
            base_url=gateway.url, timeout=20, headers={"authorization": f"Bearer {answer['key']}"}
        )
        if name == "revoked":
            assert owner.client.delete(f"/api/keys/{answer['id']}").is_success
        elif name == "expired":
            engine = sa.create_engine(database.owner_url, poolclass=sa.NullPool)
            with engine.begin() as connection:
                past = sa.text("UPDATE api_keys SET expires_at = now() - interval '1 day' WHERE id = :id")
                connection.execute(past, {"id": answer["id"]})
    yield made
    for client in made.values():
        client.close()


def _asked(client: httpx.Client, operation: Operation, ids: dict[str, str]) -> httpx.Response:
    # An empty object does as a body: who may not ask is told so before the body is looked at.
    with client.stream(operation.method, operation.url(ids), json=None if operation.method == "GET" else {}) as answer:
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
        return answer


def _answers(client: httpx.Client, operations: list[Operation], ids: dict[str, str]) -> dict[str, int]:
    return {one.id: _asked(client, one, ids).status_code for one in operations}


def test_what_is_open_to_all_is_named_here() -> None:
    """R-AUTH-1: an operation that asks for nobody's name has to be added above, by somebody who thought of it."""
    assert {one.id for one in _operations() if not one.is_secured} == _OPEN_TO_ALL
    assert {one.id for one in SECURED} >= _READERS_MAY


def test_nobody_gets_nothing(gateway: Gateway, ids: dict[str, str]) -> None:
    """R-AUTH-1: without a token, and with one that we did not make."""
    for headers in ({}, {"authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1c2VyIn0."}):
        with httpx.Client(base_url=gateway.url, timeout=20, headers=headers) as client:
            told = _answers(client, SECURED, ids)
        assert {name: status for name, status in told.items() if status != 401} == {}


def test_keys_that_have_ended_get_nothing(keys: dict[str, httpx.Client], ids: dict[str, str]) -> None:
    """R-AUTH-3: expired and revoked."""
    for name in ("expired", "revoked"):
        told = _answers(keys[name], SECURED, ids)
        assert {name: status for name, status in told.items() if status != 401} == {}


def test_a_key_for_reading_changes_nothing(keys: dict[str, httpx.Client], ids: dict[str, str]) -> None:
    """R-AUTH-3: all that is no GET and not named above wants more; what is named above does not."""
    writing = [one for one in SECURED if one.method != "GET" and one.id not in _READERS_MAY]
    told = _answers(keys["read"], writing, ids)
    assert {name: status for name, status in told.items() if status != 403} == {}
    reading = [one for one in SECURED if one.id in _READERS_MAY and one.id != "delete_conversation"]
    assert 403 not in _answers(keys["read"], reading, ids).values()


def test_what_is_anothers_is_not_there(owner: Account, ids: dict[str, str], sign_up: Callable[[], Account]) -> None:
    """R-AUTH-4: each operation that names a thing of the owner's is 404 for somebody else, whatever it would do.

    The control: for the owner each GET of them finds it.
    """
    naming = [one for one in SECURED if "{" in one.path and "nothing_" not in one.url(ids)]
    told = _answers(sign_up().client, naming, ids)
    # Where a body is needed the empty one is refused before anything is looked for.
    wrong = {name: status for name, status in told.items() if status not in (404, 422, 400)}
    assert wrong == {}
    reads = [one for one in naming if one.method == "GET"]
    assert {one.id for one in reads if told[one.id] != 404} == set()
    of_kind = {"get_dataset", "get_model", "get_job", "get_conversation", "get_upload", "retrieve_file"}
    found = _answers(owner.client, [one for one in reads if one.id in of_kind], ids)
    assert found == dict.fromkeys(of_kind, 200)


def test_anothers_project_is_not_selected(ids: dict[str, str], owner: Account, sign_up: Callable[[], Account]) -> None:
    """R-AUTH-4: the header that selects a project selects none of others."""
    stranger = sign_up()
    headers = {**stranger.client.headers, "openai-project": owner.project_id}
    with httpx.Client(base_url=stranger.client.base_url, timeout=20, headers=headers) as client:
        of_a_project = [
            one for one in SECURED if one.id.startswith(("list_", "create_")) and one.path != "/api/projects"
        ]
        told = _answers(client, of_a_project, ids)
    assert {name: status for name, status in told.items() if status not in (403, 404)} == {}
