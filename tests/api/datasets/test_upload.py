"""Uploads of each format: what is kept, what is refused, and in which words (R-DATA-1 to R-DATA-3)."""

import gzip
import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.api.datasets.uploading import OTHER_ROW, ROW, form, ok, part, refused, row, send, upload

BOM = b"\xef\xbb\xbf"
QUOTED = '"چطور؟\r\nبگو"'.encode()


def kept(client: httpx.Client, name: str, body: bytes, **fields: str) -> tuple[dict[str, Any], bytes]:
    """The answer to an upload, and the bytes that the download gives."""
    data = ok(upload(client, {"dataset": (name, body)}, **fields))
    return data, client.get(f"/api/datasets/{data['id']}/download").content


def samples(client: httpx.Client, dataset_id: str) -> list[dict[str, Any]]:
    return ok(client.get(f"/api/datasets/preview/{dataset_id}"))["samples"]


class TestFormats:
    """R-DATA-1."""

    @pytest.mark.parametrize(
        "body",
        [ROW + OTHER_ROW, BOM + ROW + OTHER_ROW, (ROW + OTHER_ROW).replace(b"\n", b"\r\n"), (ROW + OTHER_ROW)[:-1]],
        ids=["plain", "BOM", "CRLF", "no last newline"],
    )
    def test_clean_jsonl_is_kept_to_the_byte(self, client: httpx.Client, body: bytes) -> None:
        """R-DATA-1, R-DATA-4: and its rows, bytes and sha256 are there at once."""
        data, downloaded = kept(client, "clean.jsonl", body)
        assert downloaded == body
        assert (data["rows"], data["bytes"], data["sha256"]) == (2, len(body), hashlib.sha256(body).hexdigest())
        none = {"clips": None, "duration_s": None}  # what audio sets have
        assert data["splits"] == [{"split": "train", "rows": 2, "bytes": len(body), "sha256": data["sha256"], **none}]
        assert samples(client, data["id"]) == [json.loads(ROW), json.loads(OTHER_ROW)]

    @pytest.mark.parametrize(
        ("name", "body"),
        [
            ("array.json", b"[" + ROW + b"," + OTHER_ROW + b"]"),
            ("bom.json", BOM + b"[" + ROW + b"," + OTHER_ROW + b"]"),
            ("comma.csv", "question,answer\nسلام,درود\nخوبی؟,بله\n".encode()),
            ("semicolon.csv", "question;answer\nسلام;درود\nخوبی؟;بله\n".encode()),
            ("bom.csv", BOM + "\r\nanswer,question\r\nدرود,سلام\r\n\r\nبله,خوبی؟\r\n".encode()),
        ],
    )
    def test_other_formats_become_jsonl(self, client: httpx.Client, name: str, body: bytes) -> None:
        """R-DATA-1: a .csv or .json previews as objects."""
        data, downloaded = kept(client, name, body)
        assert [json.loads(line) for line in downloaded.splitlines()] == [json.loads(ROW), json.loads(OTHER_ROW)]
        assert samples(client, data["id"]) == [json.loads(ROW), json.loads(OTHER_ROW)]
        assert data["sha256"] == hashlib.sha256(downloaded).hexdigest()
        assert data["name"] == name

    def test_one_object_is_a_dataset(self, client: httpx.Client) -> None:
        """R-DATA-1."""
        data, downloaded = kept(client, "one.json", json.dumps(json.loads(ROW), indent=2).encode())
        assert data["rows"] == 1
        assert json.loads(downloaded) == json.loads(ROW)

    @pytest.mark.parametrize(
        ("name", "body", "status", "says"),
        [
            ("a.png", b"x", 415, "Files of type .png are not taken. Send one of .jsonl, .json, .csv, .parquet"),
            ("jsonl", ROW, 415, "Files of type (none) are not taken"),
            ("a.jsonl", b"", 400, "The file holds no rows"),
            ("a.json", b"[]", 400, "The file holds no rows"),
            ("a.csv", b"question,answer\n", 400, "The file holds no rows"),
            ("a.jsonl", gzip.compress(ROW, mtime=0), 400, "The file is not UTF-8 text: byte 1, in line 1"),
            ("a.jsonl", ROW + b"\xff\n", 400, f"not UTF-8 text: byte {len(ROW)}, in line 2"),
            ("a.jsonl", "question,answer\nسلام,درود\n".encode(), 400, "The file is not JSON Lines"),
            ("a.json", ROW + ROW, 400, "several objects stand in it, as in JSON Lines, whose suffix is .jsonl"),
            ("a.json", b"[1, 2]", 400, "The file is not JSON: nothing at its start is a JSON object"),
            ("a.jsonl", b'{"foo": 1}\n', 400, "The fields (foo) are of no known kind of row"),
        ],
    )
    def test_what_is_no_dataset_is_refused(
        self, client: httpx.Client, name: str, body: bytes, status: int, says: str
    ) -> None:
        """R-DATA-1: a clear 4xx."""
        assert says in refused(upload(client, {"file": (name, body)}), status)


class TestRows:
    """R-DATA-2, R-DATA-3."""

    @pytest.mark.parametrize(
        ("line", "row_schema"),
        [
            (ROW, "qa"),
            (b'{"text": "a"}\n', "text"),
            (b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n', "messages"),
        ],
    )
    def test_the_kind_of_row_is_detected_or_declared(self, client: httpx.Client, line: bytes, row_schema: str) -> None:
        """R-DATA-2."""
        assert kept(client, "a.jsonl", line)[0]["row_schema"] == row_schema
        assert kept(client, "a.jsonl", line, row_schema=row_schema)[0]["row_schema"] == row_schema

    def test_the_same_bytes_read_as_another_kind_are_another_dataset(self, client: httpx.Client) -> None:
        """R-DATA-2, R-DATA-7: what training sees of them differs."""
        both = b'{"question": "a", "answer": "b", "text": "c"}\n'
        asked, told = (kept(client, "both.jsonl", both, row_schema=kind)[0] for kind in ("qa", "text"))
        assert asked["id"] != told["id"]
        assert samples(client, told["id"]) == [{"text": "c"}]

    @pytest.mark.parametrize(
        ("name", "body"),
        [("m.jsonl", b'{"prompt": "a", "reply": "b", "n": 1}\n'), ("m.csv", b"reply;n;prompt\nb;1;a\n")],
    )
    def test_mapped_columns_are_kept_under_our_names(self, client: httpx.Client, name: str, body: bytes) -> None:
        """R-DATA-2: the answer shows the mapping that was used."""
        columns = {"question": "prompt", "answer": "reply"}
        data, downloaded = kept(client, name, body, columns=json.dumps(columns))
        assert data["columns"] == columns
        assert json.loads(downloaded) == {"question": "a", "answer": "b"}
        assert ok(client.get(f"/api/datasets/{data['id']}"))["columns"] == columns

    @pytest.mark.parametrize(
        ("name", "bad", "place"),
        [
            ("a.jsonl", ROW * 6 + b"{oops\n" + ROW * 2, "Line 7"),
            ("a.json", b"[" + b",".join([ROW] * 6) + b", 7," + b",".join([ROW] * 2) + b"]", "Item 7"),
            ("a.csv", b"question,answer\na,b\n" + QUOTED + b",b\na,b\na,\n" + b"a,b\n" * 5, "Line 6"),
        ],
    )
    def test_a_bad_row_is_named_by_its_place(self, client: httpx.Client, name: str, bad: bytes, place: str) -> None:
        """R-DATA-3: the physical line, where a quoted cell spans two; the item of an array."""
        answer = upload(client, {"dataset": (name, bad)})
        assert "1 of 9 rows cannot be used" in refused(answer)
        told = answer.json()
        assert [error.partition(":")[0] for error in told["errors"]] == [place]
        numbers = [told[name] for name in ("valid", "total_lines", "valid_lines", "error_count", "split")]
        assert numbers == [False, 9, 8, 1, "train"]

    @pytest.mark.parametrize("name", ["skip.jsonl", "skip.json", "skip.csv"])
    def test_skip_keeps_the_good_rows_and_counts_the_others(self, client: httpx.Client, name: str) -> None:
        """R-DATA-3."""
        bodies = {
            "skip.jsonl": ROW + b"{oops\n" + OTHER_ROW,
            "skip.json": b"[" + ROW + b",5," + OTHER_ROW + b"]",
            "skip.csv": "question,answer\nسلام,درود\nx,\nخوبی؟,بله\n".encode(),
        }
        data, downloaded = kept(client, name, bodies[name], on_error="skip")
        assert [json.loads(line) for line in downloaded.splitlines()] == [json.loads(ROW), json.loads(OTHER_ROW)]
        counted = [data[key] for key in ("valid", "rows", "total_lines", "valid_lines", "error_count")]
        assert counted == [True, 2, 3, 2, 1]
        assert len(data["errors"]) == 1

    def test_ten_errors_are_shown_and_all_are_counted(self, client: httpx.Client) -> None:
        """R-DATA-3."""
        answer = upload(client, {"dataset": ("a.jsonl", ROW + b'{"question": "a"}\n' * 25)})
        refused(answer)
        assert answer.json()["errors"] == [f"Line {n}: the field answer is missing." for n in range(2, 12)]
        assert answer.json()["error_count"] == 25

    def test_a_row_that_only_a_shallow_stack_could_read_is_refused(self, client: httpx.Client) -> None:
        """R-DATA-3: the gateway and the trainer read rows from deeper stacks than the check does."""
        deep = b'{"question": "a", "answer": "b", "x": ' + b"[" * 900 + b"]" * 900 + b"}\n"
        answer = upload(client, {"dataset": ("a.jsonl", ROW + deep)})
        refused(answer)
        assert answer.json()["errors"] == ["Line 2: the JSON is nested too deep."]


class TestSplits:
    def test_both_files_are_kept_and_counted(self, client: httpx.Client) -> None:
        """R-DATA-2: a version is a manifest of files; R-DATA-3: errors of the test file say so."""
        files = {"dataset": ("t.jsonl", ROW * 2), "test": ("e.jsonl", OTHER_ROW + b"{oops\n")}
        data = ok(upload(client, files, on_error="skip"))
        assert [(split["split"], split["rows"]) for split in data["splits"]] == [("train", 2), ("test", 1)]
        assert (data["rows"], data["total_lines"], data["error_count"]) == (3, 4, 1)
        assert data["errors"][0].startswith("test: Line 2: ")
        downloads = [client.get(f"/api/datasets/{data['id']}/download?split={split}") for split in ("train", "test")]
        assert downloads[0].content == ROW * 2
        assert json.loads(downloads[1].content) == json.loads(OTHER_ROW)

    def test_the_file_with_bad_rows_is_named(self, client: httpx.Client) -> None:
        """R-DATA-3."""
        answer = upload(client, {"test": ("e.jsonl", b"{oops\n" + ROW), "dataset": ("t.jsonl", ROW)})
        refused(answer)
        assert answer.json()["split"] == "test"
        assert answer.json()["errors"][0].startswith("test: Line 1: ")

    def test_splits_of_two_kinds_are_refused(self, client: httpx.Client) -> None:
        """R-DATA-2: training reads both in one way."""
        files = {"dataset": ("t.jsonl", ROW), "test": ("e.jsonl", b'{"text": "a"}\n')}
        assert "The train file holds qa rows and the test file text rows" in refused(upload(client, files))

    def test_a_split_that_there_is_not_cannot_be_downloaded(self, client: httpx.Client) -> None:
        """R-DATA-4."""
        dataset_id = ok(upload(client))["id"]
        answer = client.get(f"/api/datasets/{dataset_id}/download?split=test")
        assert "split is test: this dataset has no such split" in refused(answer)


class TestNames:
    """R-DATA-4: a file name is data, never a path."""

    @pytest.mark.parametrize(
        ("filename", "name"),
        [
            ("../../../etc/گفتگو.jsonl", "گفتگو.jsonl"),
            ("/etc/passwd.jsonl", "passwd.jsonl"),
            ("..\\up.jsonl", "..\\up.jsonl"),
            ("A.JSONL", "A.JSONL"),
        ],
    )
    def test_only_the_last_part_is_its_name(self, client: httpx.Client, filename: str, name: str) -> None:
        """R-DATA-4."""
        assert ok(upload(client, {"dataset": (filename, row(filename))}))["name"] == name

    def test_a_nul_in_the_file_name_is_refused(self, client: httpx.Client) -> None:
        """R-DATA-4."""
        answer = send(client, form(part("file", ROW, "a\0b.jsonl")))
        assert "name is ab.jsonl: it holds a NUL character" in refused(answer)

    def test_two_files_of_one_name_do_not_collide(self, client: httpx.Client) -> None:
        """R-DATA-4."""
        first, second = (kept(client, "same.jsonl", body)[0] for body in (row("one"), row("two")))
        assert first["id"] != second["id"]
        assert client.get(f"/api/datasets/{first['id']}/download").content == row("one")
