"""What becomes of an upload that is complete: its job, its errors, its faults (R-DATA-8)."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.datasets.sending import (
    PART,
    UPLOADS,
    begin,
    complete,
    ended,
    failed,
    incoming_keys,
    rows_of,
    send,
    sent,
    succeeded,
)
from tests.api.datasets.uploading import OTHER_ROW, ROW, ok, refused, upload, wait_until
from tests.support.engine import Engine
from tests.support.gateway import Account


@pytest.fixture
def someone(engine: Engine, sign_up: Callable[[], Account]) -> httpx.Client:
    """Someone in a project of one's own, whose jobs are done."""
    del engine
    return sign_up().client


class TestCompleting:
    def test_missing_parts_are_named(self, someone: httpx.Client) -> None:
        """R-DATA-8: nothing is queued before all have come."""
        data = rows_of(2 * PART)
        upload = begin(someone, data)
        send(data, upload["urls"][:1])
        answer = someone.post(f"{UPLOADS}/{upload['id']}/complete")
        assert "2 of 3 parts are missing or have another size, the first is part 2" in refused(answer, 409)

    def test_asked_twice_it_is_one_job(self, someone: httpx.Client) -> None:
        """R-DATA-8: an answer that was lost costs nothing."""
        upload = begin(someone, ROW)
        send(ROW, upload["urls"])
        job_id = complete(someone, upload["id"])
        assert complete(someone, upload["id"]) == job_id
        succeeded(someone, job_id)
        assert complete(someone, upload["id"]) == job_id
        shown = ok(someone.get(f"{UPLOADS}/{upload['id']}"))
        assert (shown["status"], shown["job_id"], shown["urls"]) == ("completed", job_id, [])

    def test_bad_rows_are_told_by_line_and_nothing_is_kept(self, someone: httpx.Client, engine: Engine) -> None:
        """R-DATA-3, R-DATA-8."""
        data = ROW + b"{oops\n" + b'{"question": "x"}\n'
        error = failed(someone, sent(someone, data))
        assert error["code"] == "dataset_invalid"
        assert error["message"].startswith("2 of 3 rows cannot be used")
        assert error["errors"][1] == "Line 3: the field answer is missing."
        assert error["params"]["valid_lines"] == 1
        assert someone.get("/api/datasets/list").json()["data"] == []
        wait_until(lambda: not incoming_keys(engine), "incoming/ is cleared")

    def test_bad_rows_are_dropped_where_that_is_wanted(self, someone: httpx.Client) -> None:
        """R-DATA-3, R-DATA-8."""
        result = succeeded(someone, sent(someone, ROW + b"{oops\n", on_error="skip", name="گپ"))
        assert (result["name"], result["rows"], result["error_count"]) == ("گپ", 1, 1)
        preview = ok(someone.get(f"/api/datasets/preview/{result['dataset_id']}"))
        assert preview["samples"] == [json.loads(ROW)]

    def test_csv_columns_and_held_out_rows(self, someone: httpx.Client) -> None:
        """R-DATA-2, R-DATA-6, R-DATA-8: the test split is an upload too."""
        table = "prompt,reply\nسلام,درود\n".encode()
        train = begin(someone, table, "t.csv", columns={"question": "prompt", "answer": "reply"})
        test = begin(someone, OTHER_ROW, "held-out.jsonl")
        send(table, train["urls"])
        send(OTHER_ROW, test["urls"])
        other = someone.post(f"{UPLOADS}/{train['id']}/complete", json={"test_upload_id": train["id"]})
        assert "the upload of the train split itself" in refused(other)
        error = failed(someone, complete(someone, train["id"], test_upload_id=test["id"]))
        assert error["errors"][0].startswith("test: Line 1: the field prompt is missing")
        train = begin(someone, ROW)
        test = begin(someone, OTHER_ROW)
        send(ROW, train["urls"])
        send(OTHER_ROW, test["urls"])
        result = succeeded(someone, complete(someone, train["id"], test_upload_id=test["id"]))
        dataset = ok(someone.get(f"/api/datasets/{result['dataset_id']}"))
        assert [(split["split"], split["rows"]) for split in dataset["splits"]] == [("train", 1), ("test", 1)]

    def test_the_next_version_of_a_dataset(self, someone: httpx.Client) -> None:
        """R-DATA-7, R-DATA-8."""
        first = succeeded(someone, sent(someone, ROW))
        second = succeeded(someone, sent(someone, OTHER_ROW, dataset_id=first["dataset_id"]))
        assert (second["dataset_id"], second["version"]) == (first["dataset_id"], 2)
        again = succeeded(someone, sent(someone, OTHER_ROW, dataset_id=first["dataset_id"]))
        assert (again["version"], again["created"]) == (2, False)

    def test_a_promised_hash_is_checked(self, someone: httpx.Client) -> None:
        """R-DATA-8."""
        right = hashlib.sha256(ROW).hexdigest()
        assert succeeded(someone, sent(someone, ROW, sha256=right))["sha256"] == right
        error = failed(someone, sent(someone, OTHER_ROW, sha256=right))
        assert error["code"] == "upload_hash_mismatch"
        assert right in error["message"]

    def test_what_the_database_cannot_hold_is_told_and_not_stored(self, someone: httpx.Client) -> None:
        """R-DATA-3: strangers' NUL in names and in what errors quote."""
        for changes in ({"filename": "a\0.jsonl"}, {"name": "a\0"}, {"fingerprint": "a\0"}, {"dataset_id": "a\0"}):
            answer = someone.post(UPLOADS, json={"filename": "a.jsonl", "bytes": 10} | changes)
            assert answer.status_code in (400, 404, 422), answer.text
        error = failed(someone, sent(someone, b'{"foo\\u0000": 1}\n'))
        assert error["code"] == "dataset_unknown_schema"
        bad = b'{"messages": [{"role": "x\\u0000", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
        good = b'{"messages": [{"role": "assistant", "content": "b"}]}\n'
        assert failed(someone, sent(someone, bad + good))["errors"]
        assert succeeded(someone, sent(someone, bad + good, on_error="skip"))["rows"] == 1
        files = {"dataset": ("a.jsonl", bad + good)}
        assert ok(upload(someone, files, on_error="skip"))["rows"] == 1


class TestFaults:
    def test_a_killed_worker_costs_nothing_but_time(self, someone: httpx.Client, engine: Engine) -> None:
        """R-DATA-8, R-JOB-1: kill -9 in the middle of the check; the next attempt begins anew, and keeps it once."""
        data = b"[" + b",".join(rows_of(30_000_000).splitlines()) + b"]"  # judged item by item, which takes seconds
        job_id = sent(someone, data, "rows.json")
        wait_until(lambda: job_of(someone, job_id)["progress"].get("bytes"), "the check has begun")
        engine.kill_group(engine.processes[1])
        assert job_of(someone, job_id)["status"] == "running"
        engine.processes[1] = engine.start_worker("io", 2)
        engine.processes.pop()
        result = succeeded(someone, job_id)
        assert job_of(someone, job_id)["attempt"] == 2
        assert (result["rows"], result["version"]) == (data.count(b'"question"'), 1)
        assert len(someone.get("/api/datasets/list").json()["data"]) == 1

    def test_a_cancelled_import_leaves_nothing(self, someone: httpx.Client, engine: Engine) -> None:
        """R-DATA-8, R-TRAIN-7."""
        data = b"[" + b",".join(rows_of(30_000_000).splitlines()) + b"]"
        job_id = sent(someone, data, "rows.json")
        wait_until(lambda: job_of(someone, job_id)["progress"].get("bytes"), "the check has begun")
        ok(someone.post(f"/api/jobs/{job_id}/cancel"))
        assert ended(someone, job_id)["status"] == "cancelled"
        assert someone.get("/api/datasets/list").json()["data"] == []
        wait_until(lambda: not incoming_keys(engine), "incoming/ is cleared")


def job_of(client: httpx.Client, job_id: str) -> Any:
    return ok(client.get(f"/api/jobs/{job_id}"))
