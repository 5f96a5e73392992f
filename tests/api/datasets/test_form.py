"""The form of an upload: its fields in any order, and forms that do not fit (R-DATA-1)."""

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.api.datasets.uploading import (
    BOUNDARY,
    FORM_TYPE,
    OTHER_ROW,
    PATH,
    ROW,
    form,
    ok,
    part,
    pieces,
    raw_part,
    refused,
    send,
    upload,
)
from tests.support.gateway import Gateway

FILE = part("dataset", ROW, "a.jsonl")
NAMELESS = b"Content-Type: text/plain"
DISPOSITION = b'Content-Disposition: form-data; name="'


class TestOrder:
    """R-DATA-2, R-DATA-3: clients send fields before or after the file that they speak of."""

    def test_options_after_the_file_hold_for_it(self, client: httpx.Client) -> None:
        """R-DATA-3."""
        bad = part("dataset", ROW + b"{oops\n", "after.jsonl")
        data = ok(send(client, form(bad, part("on_error", b"skip"), part("name", "پس از آن".encode()))))
        assert (data["rows"], data["error_count"], data["name"]) == (1, 1, "پس از آن")

    def test_columns_after_the_file_hold_for_it(self, client: httpx.Client) -> None:
        """R-DATA-2: without them the file is of no known kind."""
        strange = part("dataset", b'{"q": "a", "a": "b"}\n' * 3 + b"{oops\n", "strange.jsonl")
        columns = part("columns", b'{"question": "q", "answer": "a"}')
        data = ok(send(client, form(strange, columns, part("on_error", b"skip"))))
        assert (data["rows"], data["columns"]) == (3, {"question": "q", "answer": "a"})
        assert client.get(f"/api/datasets/{data['id']}/download").content == b'{"question":"a","answer":"b"}\n' * 3

    def test_curl_sends_fields_in_the_order_of_its_words(self, client: httpx.Client, tmp_path: Path) -> None:
        """R-DATA-3."""
        curl = shutil.which("curl")
        if curl is None:
            pytest.skip("there is no curl on this machine")
        file = tmp_path / "curl.jsonl"
        file.write_bytes(ROW + b"{oops\n")
        words = ["-sS", "-H", f"authorization: {client.headers['authorization']}"]
        words += ["-F", f"dataset=@{file}", "-F", "on_error=skip", str(client.base_url.join(PATH))]
        told = subprocess.run([curl, *words], capture_output=True, check=True, timeout=20)
        assert json.loads(told.stdout)["data"]["error_count"] == 1

    @pytest.mark.parametrize("size", [1, 7, 64])
    def test_a_body_may_come_in_any_pieces(self, client: httpx.Client, size: int) -> None:
        """R-DATA-1: chunked, without a content-length, and cut inside boundaries and characters."""
        body = form(part("name", "تکه".encode()), part("dataset", ROW + OTHER_ROW, "p.jsonl"))
        data = ok(send(client, pieces(body, size)))
        assert (data["name"], data["rows"]) == ("تکه", 2)

    @pytest.mark.parametrize("size", [1, 7, 1_000])
    def test_a_file_may_hold_what_begins_like_a_boundary(self, client: httpx.Client, size: int) -> None:
        """R-DATA-1: only a whole one ends it."""
        cell = f"{size}\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY[:-2]}"
        body = form(part("dataset", f'question,answer\r\n"{cell}",b\r\n'.encode(), "b.csv"))
        data = ok(send(client, pieces(body, size)))
        assert json.loads(client.get(f"/api/datasets/{data['id']}/download").content)["question"] == cell


class TestMisfits:
    """R-DATA-1: a clear 4xx; the sender's mistake is told as one."""

    @pytest.mark.parametrize(
        ("content_type", "says"),
        [
            ("multipart/form-data", "its content-type names no boundary"),
            (f"multipart/form-data; boundary={'b' * 300}", "its boundary is too long"),
            ("multipart/form-data; boundary=another", "it is damaged"),
            ("application/json", "send it as multipart/form-data"),
            ("", "send it as multipart/form-data"),
        ],
    )
    def test_a_body_that_is_no_form(self, client: httpx.Client, content_type: str, says: str) -> None:
        """R-DATA-1."""
        assert says in refused(send(client, form(FILE), content_type))

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"zzz", "it is damaged"),
            (b"", "the body ends inside it"),
            (FILE, "the body ends inside it"),
            (form(FILE)[:-20], "the body ends inside it"),
            (form(FILE)[:30], "the body ends inside it"),
            (form(), "dataset: send a file in this field"),
            (form(part("name", b"x")), "dataset: send a file in this field"),
            (form(part("test", ROW, "a.jsonl")), "dataset: send a file in this field"),
            (form(part("dataset", ROW)), "dataset: send a file in this field"),
            (form(raw_part(NAMELESS, ROW)), "a part of it has no name"),
            (form(raw_part(DISPOSITION + b'\xff"', b"x"), FILE), "the name of a part is not UTF-8"),
            (form(raw_part(DISPOSITION + b'dataset"; filename="\xff"', ROW)), "the file name in dataset is not UTF-8"),
            (form(part("name", b"\xff"), FILE), "the field name is not UTF-8"),
            (form(part("name", b"x" * 16_385), FILE), "the field name has more than 16384 bytes"),
            (form(part("name", b"x"), part("name", b"y"), FILE), "name stands in it twice"),
            (form(*[part("name", b"")] * 17), "it has more than 16 parts"),
            (form(raw_part(b"\r\n".join([b"x: y"] * 9), b"")), "it is damaged (Maximum header count exceeded"),
            (form(raw_part(b"x: " + b"y" * 5_000, b"")), "it is damaged (Maximum header size exceeded"),
            (form(raw_part(b"x" * 1_000_000, b"")), "it is damaged (Maximum header size exceeded"),
            (form(part("evil", b"x"), FILE), "Unknown parameter evil. Known parameters: dataset, file, test, name"),
            (form(part("evil", ROW, "a.jsonl")), "Unknown parameter evil"),
            (form(FILE, part("file", OTHER_ROW, "b.jsonl")), "send one file as dataset or file, and at most one as"),
            (form(FILE, FILE), "send one file as dataset or file, and at most one as test"),
        ],
    )
    def test_a_form_that_does_not_fit(self, client: httpx.Client, body: bytes, says: str) -> None:
        """R-DATA-1: parts, headers and fields have bounds; nothing is dropped silently."""
        assert says in refused(send(client, body))

    @pytest.mark.parametrize(
        ("field", "value", "says"),
        [
            ("row_schema", "zzz", "row_schema is zzz: it is one of auto, qa, messages, text"),
            ("columns", "{", "columns is {: it is a JSON object"),
            ("columns", '{"question": 1}', "it is a JSON object of our field to the file's"),
            ("columns", '{"q": "a"}', "columns is q: no row has this field"),
            ("columns", '{"question": "a", "text": "b"}', "columns is text: qa rows have question and answer"),
            ("columns", '{"question": "answer"}', "two fields cannot be one column"),
            ("columns", '{"question": "a\\"b"}', "a column's name holds a quote"),
            ("on_error", "maybe", "it is refuse or skip"),
            ("name", "a\0b", "it holds a NUL character"),
            ("name", "ن" * 256, "it has 256 characters where 1 to 255 are taken"),
        ],
    )
    def test_a_field_that_does_not_fit_is_named(self, client: httpx.Client, field: str, value: str, says: str) -> None:
        """R-DATA-2, R-DATA-3: the sentence names the field and what it takes."""
        assert says in refused(upload(client, **{field: value}))
        assert says in refused(send(client, form(FILE, part(field, value.encode()))))

    def test_a_damaged_form_is_logged_as_a_request_alone(self, client: httpx.Client, gateway: Gateway) -> None:
        """R-OPS-6: a warning is for those who can act."""
        headers = {"content-type": FORM_TYPE, "x-request-id": "damaged"}
        refused(client.post(PATH, content=b"zzz", headers=headers))
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if '"damaged"' in line]
        assert [line["event"] for line in lines] == ["request"]

    def test_nothing_of_a_refused_form_is_listed(self, client: httpx.Client) -> None:
        """R-DATA-1: nothing is kept."""
        body = form(part("name", b"never-there"), FILE, part("on_error", b"maybe"))
        refused(client.post(PATH, content=body, headers={"content-type": FORM_TYPE}))
        assert "never-there" not in client.get("/api/datasets/list?limit=200").text
