"""The audit log: what is written down, what never is, and who may read it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from tests.support.gateway import PASSWORD, Account, Gateway
from tests.support.stack import Database

ROW = '{"question": "سلام محرمانه", "answer": "درود"}\n'.encode()


@pytest.fixture
def account(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


def log_of(account: Account, **query: Any) -> list[dict[str, Any]]:
    """The rows of the account's project, newest first."""
    answer = account.client.get("/api/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@contextmanager
def refusing(owner: sa.Engine, action: str) -> Iterator[None]:
    """As long as this lasts no row of this action can be written."""
    with owner.begin() as connection:
        connection.execute(
            sa.text(f"ALTER TABLE audit_events ADD CONSTRAINT never CHECK (action <> '{action}') NOT VALID")
        )
    try:
        yield
    finally:
        with owner.begin() as connection:
            connection.execute(sa.text("ALTER TABLE audit_events DROP CONSTRAINT never"))


def user_id(account: Account) -> str:
    """Who the account is."""
    return account.client.get("/api/auth/me").json()["data"]["user"]["id"]


class TestWriting:
    """R-AUTH-6: who, what, when, from where, request id."""

    def test_a_change_is_one_row_that_says_who_what_and_from_where(self, account: Account) -> None:
        """R-AUTH-6."""
        headers = {"user-agent": "studio/1", "x-request-id": "mine-7"}
        made = account.client.post("/api/keys", json={"name": "sdk"}, headers=headers).json()["data"]
        (row,) = log_of(account, action="keys_make_key")
        assert row["user_id"] == user_id(account)
        assert row["session_id"].startswith("sess_")
        assert (row["key_id"], row["status"], row["targets"]) == (None, 201, [made["id"]])
        assert (row["address"], row["user_agent"], row["request_id"]) == ("127.0.0.1", "studio/1", "mine-7")
        assert row["at"] >= made["created_at"]

    def test_what_a_key_did_names_the_key(self, gateway: Gateway, account: Account) -> None:
        """R-AUTH-6, R-AUTH-3."""
        key = account.client.post("/api/keys", json={}).json()["data"]
        headers = {"authorization": f"Bearer {key['key']}"}
        run = httpx.post(f"{gateway.url}/api/train/start", json={}, headers=headers, timeout=20).json()["data"]["runId"]
        (row,) = log_of(account, action="train_start")
        assert (row["key_id"], row["session_id"], row["targets"]) == (key["id"], None, [run])

    def test_changes_of_every_shape_are_written(self, account: Account) -> None:
        """R-AUTH-6: in the request's transaction, after an upload's own, in a path and in an answer."""
        client = account.client
        dataset = client.post("/api/datasets/upload", files={"dataset": ("d.jsonl", ROW)}).json()["data"]["id"]
        run = client.post("/api/train/start", json={"dataset": dataset}).json()["data"]["runId"]
        client.post(f"/api/jobs/{run}/priority", json={"priority": 3})
        client.post("/api/train/cancel", json={"runId": run})
        client.delete(f"/api/jobs/{run}")
        client.delete(f"/api/datasets/{dataset}")
        client.put("/api/settings", json={})
        project = client.post("/api/projects", json={"name": "second"}).json()["data"]["id"]
        client.post("/api/auth/logout")
        again = client.post("/api/auth/login", json={"email": account.email, "password": PASSWORD}).json()["data"]
        client.headers["authorization"] = f"Bearer {again['access_token']}"
        rows = [(row["action"], row["targets"]) for row in reversed(log_of(account))]
        assert rows == [
            ("auth_register", []),
            ("upload_dataset", [dataset]),
            ("train_start", [run]),
            ("set_job_priority", [run]),
            ("train_cancel", [run]),
            ("delete_job", [run]),
            ("delete_dataset", [dataset]),
            ("settings_put_settings", []),
            ("projects_make_project", [project]),
            ("auth_logout", []),
            ("auth_login", []),
        ]

    def test_what_changes_nothing_is_not_written(self, account: Account) -> None:
        """R-AUTH-6: reads, refused requests, checks of a token; chats are use, not change."""
        client = account.client
        before = len(log_of(account))
        client.get("/api/jobs")
        assert client.post("/api/auth/verify", json={}).status_code == 200
        assert client.delete("/api/datasets/ds_none").status_code == 404
        assert client.post("/api/projects", json={"nick": 1}).status_code == 422
        chat = {"model": "none", "messages": [{"role": "user", "content": "سلام"}]}
        client.post("/v1/chat/completions", json=chat)
        assert len(log_of(account)) == before

    def test_no_body_and_no_secret_is_in_any_row(self, account: Account, owner: sa.Engine) -> None:
        """R-AUTH-6: ids only."""
        client = account.client
        key = client.post("/api/keys", json={"name": "پنهان"}).json()["data"]["key"]
        client.post("/api/datasets/upload", files={"dataset": ("d.jsonl", ROW)})
        refreshed = client.post("/api/auth/refresh", json={"refresh_token": account.refresh_token}).json()["data"]
        ticket = client.post("/api/auth/tickets", json={"path": "/api/train/stream"}).json()["data"]["ticket"]
        client.post("/api/auth/login", json={"email": account.email, "password": "not-the-password"})
        with owner.connect() as connection:
            rows = str(connection.execute(sa.text("SELECT * FROM audit_events")).all())
        assert "create_stream_ticket" in rows
        for secret in (key, refreshed["refresh_token"], refreshed["access_token"], ticket, "not-the-password"):
            assert secret not in rows
        for text in ("پنهان", "محرمانه", account.email):
            assert text not in rows

    def test_a_change_without_its_row_does_not_happen(self, account: Account, owner: sa.Engine) -> None:
        """R-AUTH-6: both are one transaction."""
        with refusing(owner, "keys_make_key"):
            assert account.client.post("/api/keys", json={}).status_code == 500
            assert account.client.get("/api/keys").json()["data"] == []
        assert account.client.post("/api/keys", json={}).status_code == 201

    def test_a_change_that_stood_before_its_row_is_at_least_logged(
        self, gateway: Gateway, account: Account, owner: sa.Engine
    ) -> None:
        """R-AUTH-6: an upload has transactions of its own."""
        with refusing(owner, "upload_dataset"):
            kept = account.client.post("/api/datasets/upload", files={"dataset": ("d.jsonl", ROW)})
        assert kept.status_code == 200
        (line,) = [line for line in gateway.log.read_text().splitlines() if '"audit_not_written"' in line]
        assert kept.json()["data"]["id"] in json.loads(line)["targets"]


class TestFailedSignIns:
    """R-AUTH-6."""

    def test_the_owner_of_the_account_reads_of_them(self, account: Account) -> None:
        """R-AUTH-6: wrong passwords and refresh tokens that were used before; nobody was known to be asking."""
        client = account.client
        assert (
            client.post("/api/auth/login", json={"email": account.email.upper(), "password": "no"}).status_code == 401
        )
        (row,) = log_of(account, action="auth_login")
        assert (row["status"], row["user_id"], row["session_id"]) == (401, user_id(account), None)
        assert row["address"] == "127.0.0.1"
        other = client.post("/api/auth/login", json={"email": account.email, "password": PASSWORD}).json()["data"]
        statuses = [
            client.post("/api/auth/refresh", json={"refresh_token": other["refresh_token"]}).status_code
            for _ in range(2)
        ]
        assert statuses == [200, 401]
        assert [row["status"] for row in log_of(account, action="auth_refresh")] == [401, 200]

    def test_those_of_unknown_accounts_are_in_nobodys_log(
        self, gateway: Gateway, account: Account, owner: sa.Engine
    ) -> None:
        """R-AUTH-6: they are written, and the address that was typed is not."""
        headers = {"x-request-id": "nobody-1"}
        body = {"email": "nobody@example.test", "password": "no"}
        httpx.post(f"{gateway.url}/api/auth/login", json=body, headers=headers, timeout=20)
        with owner.connect() as connection:
            (row,) = connection.execute(sa.text("SELECT * FROM audit_events WHERE request_id = 'nobody-1'")).all()
        assert (row.action, row.status, row.user_id, row.project_id) == ("auth_login", 401, None, None)
        assert "nobody-1" not in json.dumps(log_of(account))


class TestReading:
    """R-AUTH-6: readable by owners."""

    def test_editors_and_viewers_may_not_and_others_see_their_own(
        self, account: Account, sign_up: Callable[[], Account]
    ) -> None:
        """R-AUTH-6, R-AUTH-4."""
        editor = sign_up()
        path = f"/api/projects/{account.project_id}/members"
        account.client.put(path, json={"email": editor.email, "role": "editor"})
        chosen = {"OpenAI-Project": account.project_id}
        refused = editor.client.get("/api/audit", headers=chosen)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert editor.client.put("/api/settings", json={}, headers=chosen).status_code == 200
        (row,) = log_of(account, action="settings_put_settings")
        assert row["user_id"] == user_id(editor)
        assert [row["action"] for row in log_of(editor)] == ["auth_register"]
        stranger = sign_up().client.get("/api/audit", headers=chosen)
        assert stranger.status_code == 404

    def test_pages_and_filters(self, account: Account, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-6, R-API-3: by user, action and time, newest first."""
        for _ in range(4):
            account.client.put("/api/settings", json={})
        whole = log_of(account)
        assert [row["id"] for row in whole] == sorted((row["id"] for row in whole), reverse=True)
        paged, cursor = [], None
        while True:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            answer = account.client.get("/api/audit", params=query).json()
            paged += answer["data"]
            if (cursor := answer["next_cursor"]) is None:
                break
        assert paged == whole
        assert len(log_of(account, action="settings_put_settings")) == 4
        assert log_of(account, user=user_id(account)) == whole
        assert log_of(account, user=user_id(sign_up())) == []
        middle = whole[2]["at"]
        later, before = log_of(account, since=middle), log_of(account, until=middle)
        assert (later, before) == (whole[:3], whole[3:])
        refused = account.client.get("/api/audit", params={"since": "yesterday"})
        assert refused.status_code == 422

    def test_the_application_cannot_rewrite_it(self, database: Database, account: Account) -> None:
        """R-AUTH-6: append-only for the role that the gateway has."""
        engine = sa.create_engine(database.url, poolclass=sa.NullPool)
        for statement in ("UPDATE audit_events SET status = 0", "DELETE FROM audit_events", "TRUNCATE audit_events"):
            with engine.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(sa.text(statement))
