"""Uploads that do not fit, as the person who sent them reads the answer."""

import json
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.gateway import Account, Gateway

ROW = json.dumps({"question": "سلام", "answer": "درود"}, ensure_ascii=False).encode() + b"\n"
OTHER_ROW = json.dumps({"question": "خوبی؟", "answer": "بله"}, ensure_ascii=False).encode() + b"\n"
_DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def client(sign_up: Callable[[], Account]) -> httpx.Client:
    return sign_up().client


def upload(client: httpx.Client, files: object = None, **fields: str) -> httpx.Response:
    return client.post("/api/datasets/upload", files=files or {"dataset": ("a.jsonl", ROW)}, data=fields)


def refused(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json()["ok"] is False
    return str(answer.json()["error"])


class TestForm:
    @pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=b"])
    def test_a_body_that_is_no_form_is_refused(self, client: httpx.Client, content_type: str) -> None:
        """R-DATA-1: the sender's mistake is told as one."""
        answer = client.post("/api/datasets/upload", content=b"zzz", headers={"content-type": content_type})
        assert "The request body does not fit" in refused(answer)

    @pytest.mark.parametrize("second", ["dataset", "file"])
    def test_two_files_for_one_split_are_refused(self, client: httpx.Client, second: str) -> None:
        """R-DATA-1: neither of them is dropped silently."""
        files = [("dataset", ("a.jsonl", ROW)), (second, ("b.jsonl", OTHER_ROW))]
        assert "send one file as dataset or file, and at most one as test" in refused(upload(client, files))

    def test_more_files_than_splits_are_refused(self, client: httpx.Client) -> None:
        """R-DATA-1."""
        files = [("dataset", (f"{number}.jsonl", ROW)) for number in range(5)]
        assert "Too many files" in refused(upload(client, files))

    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("row_schema", "zzz", "row_schema is zzz: it is one of auto, qa, messages, text"),
            ("columns", "{", "columns is {: it is a JSON object"),
            ("columns", '{"question": 1}', "it is a JSON object of our field to the file's"),
            ("on_error", "maybe", "it is refuse or skip"),
            ("name", "a\0b", "it holds a NUL character"),
            ("name", "ن" * 256, "it has 256 characters where 1 to 255 are taken"),
        ],
    )
    def test_a_field_that_does_not_fit_is_named(self, client: httpx.Client, field: str, value: str, says: str) -> None:
        """R-DATA-2, R-DATA-3: the sentence names the field and what it takes."""
        assert says in refused(upload(client, **{field: value}))

    def test_a_client_that_leaves_is_no_failure_of_the_gateway(self, client: httpx.Client, gateway: Gateway) -> None:
        """R-DATA-1: an upload cut off is not logged as a crash."""
        address = urlsplit(gateway.url)
        request = (
            f"POST /api/datasets/upload HTTP/1.1\r\nhost: x\r\nx-request-id: leaver\r\n"
            f"authorization: {client.headers['authorization']}\r\n"
            "content-type: multipart/form-data; boundary=b\r\ncontent-length: 5000\r\n\r\n--b\r\n"
        )
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(request.encode())
        deadline = time.monotonic() + _DEADLINE_S
        lines: list[str] = []
        while not any('"request"' in line for line in lines) and time.monotonic() < deadline:
            lines = [line for line in gateway.log.read_text().splitlines() if '"leaver"' in line]
            time.sleep(0.02)
        assert [json.loads(line)["event"] for line in lines] == ["request"]


class TestPreview:
    def test_offsets_reach_every_row_of_the_total(self, client: httpx.Client) -> None:
        """R-DATA-4: the total counts both splits, so both can be read."""
        files = {"dataset": ("t.jsonl", ROW), "test": ("e.jsonl", OTHER_ROW)}
        dataset_id = upload(client, files).json()["data"]["id"]
        page = client.get(f"/api/datasets/preview/{dataset_id}?offset=1").json()["data"]
        assert page["total"] == 2
        assert page["samples"] == [json.loads(OTHER_ROW)]


class TestSample:
    def test_an_upload_with_the_samples_name_is_not_the_sample(self, client: httpx.Client) -> None:
        """R-DATA-10: a run without a dataset trains on the sample, whatever else has its name."""
        mine = upload(client, name="chatterbot-fa").json()["data"]["id"]
        assert client.post("/api/train/start", json={}).status_code == 200
        named = [d for d in client.get("/api/datasets/list").json()["data"] if d["name"] == "chatterbot-fa"]
        assert len(named) == 2
        assert next(d["rows"] for d in named if d["id"] != mine) > 1000


class TestNul:
    @pytest.mark.parametrize("path", ["/api/datasets/list?cursor=%00", "/api/datasets/%00", "/api/models/%00"])
    def test_a_nul_character_is_the_senders_mistake(self, client: httpx.Client, path: str) -> None:
        """R-API-3: PostgreSQL takes none in a text."""
        assert "a text holds a NUL character" in refused(client.get(path))
