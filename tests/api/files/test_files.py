"""OpenAI's own client sends files, lists them page by page, reads them back and deletes them (R-API-2)."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.gateway import Account, Gateway, register, running_gateway

LINES = b'{"custom_id": "a"}\n' * 3


@contextmanager
def client_of(gateway: Gateway, account: Account) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=account.access_token, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def account(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


@pytest.fixture(scope="module")
def client(gateway: Gateway, account: Account) -> Iterator[openai.OpenAI]:
    with client_of(gateway, account) as made:
        yield made


@pytest.fixture(scope="module")
def stranger(gateway: Gateway, sign_up: Callable[[], Account]) -> Iterator[openai.OpenAI]:
    """A client of another project."""
    with client_of(gateway, sign_up()) as made:
        yield made


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


class TestFile:
    @pytest.mark.parametrize("purpose", ["batch", "fine-tune", "user_data"])
    def test_it_comes_back_as_it_was_sent(self, client: openai.OpenAI, purpose: str) -> None:
        """R-API-2."""
        data = f"{purpose}: سلام\r\n\x00".encode()
        made = client.files.create(file=("پرسش‌ها.jsonl", data), purpose=purpose)  # type: ignore[arg-type]
        assert (made.purpose, made.bytes, made.filename) == (purpose, len(data), "پرسش‌ها.jsonl")
        assert client.files.retrieve(made.id) == made
        assert client.files.content(made.id).read() == data
        assert client.files.wait_for_processing(made.id, poll_interval=0.1).id == made.id

    def test_a_deleted_one_is_gone(self, client: openai.OpenAI) -> None:
        """R-API-2."""
        made = client.files.create(file=LINES, purpose="batch")
        assert client.files.delete(made.id).deleted
        for ask in (client.files.retrieve, client.files.content, client.files.delete):
            with pytest.raises(openai.NotFoundError, match="GET /v1/files lists"):
                ask(made.id)

    def test_another_project_has_none_of_them(self, client: openai.OpenAI, stranger: openai.OpenAI) -> None:
        """R-API-2, R-AUTH-4."""
        made = client.files.create(file=LINES, purpose="batch")
        for ask in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
            with pytest.raises(openai.NotFoundError):
                ask(made.id)
        assert list(stranger.files.list()) == []

    def test_it_counts_into_the_quota(self, client: openai.OpenAI, account: Account) -> None:
        """R-AUTH-5."""

        def used() -> int:
            path = f"/api/projects/{account.project_id}/usage"
            return int(account.client.get(path).json()["data"]["stored_bytes"]["used"])

        before = used()
        made = client.files.create(file=os.urandom(1_000), purpose="user_data")
        assert used() == before + 1_000
        client.files.delete(made.id)
        assert used() == before

    def test_memory_does_not_grow_with_it(self, client: openai.OpenAI, gateway: Gateway) -> None:
        """R-API-2: 48 MiB go through a gateway that holds a few of them."""
        client.files.content(client.files.create(file=LINES, purpose="user_data").id).read()
        before = peak_bytes(gateway.pid)
        data = os.urandom(48 << 20)
        made = client.files.create(file=("large", io.BytesIO(data)), purpose="user_data")
        assert client.files.content(made.id).read() == data
        assert peak_bytes(gateway.pid) - before < 40 << 20
        client.files.delete(made.id)


class TestList:
    def test_pages_hold_each_once_in_either_order(self, gateway: Gateway, sign_up: Callable[[], Account]) -> None:
        """R-API-3: OpenAI's cursor, which is the id of the last one."""
        with client_of(gateway, sign_up()) as client:
            purposes = ["batch", "user_data", "batch", "fine-tune", "batch"]
            ids = [client.files.create(file=LINES, purpose=one).id for one in purposes]  # type: ignore[arg-type]
            assert [one.id for one in client.files.list(limit=2)] == ids[::-1]
            assert [one.id for one in client.files.list(limit=2, order="asc")] == ids
            assert [one.id for one in client.files.list(purpose="batch", limit=1)] == [ids[4], ids[2], ids[0]]
            page = client.files.list(limit=2)
            assert (len(page.data), page.has_more, page.last_id) == (2, True, ids[3])
            assert [one.id for one in client.files.list(after=ids[1])] == [ids[0]]
            client.files.delete(ids[3])
            assert [one.id for one in client.files.list(after=ids[3])] == ids[2::-1], "a cursor outlives its file"

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 10_001}, {"after": "x"}, {"purpose": "vision"}])
    def test_what_it_does_not_know_is_refused(self, account: Account, query: dict[str, str]) -> None:
        """R-API-3."""
        answer = account.client.get("/v1/files", params=query)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"


class TestRefusals:
    @pytest.mark.parametrize(
        ("data", "files", "param", "says"),
        [
            ({"purpose": "assistants"}, {"file": LINES}, "purpose", "files are taken for batch, fine-tune, user_data"),
            ({}, {"file": LINES}, "purpose", "it is missing"),
            ({"purpose": "batch"}, {"file": ("a", b"")}, None, "The file is empty"),
            ({"purpose": "batch", "file": "text"}, {"other": b"x"}, None, "Send the file in the field file"),
            ({"purpose": "batch", "tone": "x"}, {"file": LINES}, "tone", "Unknown parameter tone"),
            ({"purpose": "batch", "expires_after[anchor]": "created_at"}, {"file": LINES}, "expires_after", "stay"),
        ],
    )
    def test_a_form_that_does_not_fit(
        self, account: Account, data: dict[str, str], files: dict[str, bytes], param: str | None, says: str
    ) -> None:
        """R-API-2: with the parameter's name."""
        answer = account.client.post("/v1/files", data=data, files=files)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert says in error["message"]
        assert error["param"] == param

    def test_no_form_at_all(self, account: Account) -> None:
        """R-API-2."""
        answer = account.client.post("/v1/files", json={"purpose": "batch"})
        assert answer.status_code == 400
        assert "multipart/form-data" in answer.json()["error"]["message"]

    def test_what_is_too_large_or_beyond_the_quota(
        self, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """R-API-2, R-AUTH-5: nothing is kept."""
        same = {name: value for name, value in gateway.environment.items() if not name.endswith("_PORT")}
        small = {"SIMORGH_MAX_FILE_BYTES": "5000", "SIMORGH_QUOTA_STORED_BYTES": "6000"}
        with (
            running_gateway(tmp_path_factory.mktemp("small"), **same | small) as made,
            httpx.Client(base_url=made.url, timeout=20) as http,
            client_of(made, register(http)) as client,
        ):
            with pytest.raises(openai.APIStatusError, match="limit of 5000 bytes") as refused:
                client.files.create(file=os.urandom(5_001), purpose="batch")
            assert refused.value.status_code == 413
            client.files.create(file=os.urandom(4_000), purpose="batch")
            with pytest.raises(openai.RateLimitError, match="6000"):
                client.files.create(file=os.urandom(4_000), purpose="batch")
            assert len(list(client.files.list())) == 1
