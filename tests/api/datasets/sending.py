"""What the tests of direct uploads share: files, parts that go straight to storage, and jobs waited for."""

import hashlib
import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.api.datasets.uploading import row
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database

UPLOADS = "/api/datasets/uploads"
PART = 5 << 20
_numbers = itertools.count(1)


def rows_of(num_bytes: int) -> bytes:
    """Valid JSONL of about so many bytes, other than any before."""
    salt, lines, size = next(_numbers), [], 0
    for number in itertools.count():
        lines.append(row(f"پرسش {salt}-{number} " + "چیست " * 200, f"پاسخ {number}"))
        size += len(lines[-1])
        if size >= num_bytes:
            return b"".join(lines)
    raise AssertionError


def begin(client: httpx.Client, data: bytes, filename: str = "rows.jsonl", **more: Any) -> Any:
    """Begin an upload of this data."""
    body = {"filename": filename, "bytes": len(data), "part_bytes": PART} | more
    answer = client.post(UPLOADS, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def send(data: bytes, urls: Iterable[dict[str, Any]]) -> None:
    """Send parts to the addresses that were signed for them."""
    for part in urls:
        start = (part["number"] - 1) * PART
        answer = httpx.put(part["url"], content=data[start : start + part["bytes"]], timeout=60)
        assert answer.status_code == 200, answer.text


def complete(client: httpx.Client, upload_id: str, **body: Any) -> str:
    """Say that everything was sent; the job's id."""
    answer = client.post(f"{UPLOADS}/{upload_id}/complete", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["id"])


def sent(client: httpx.Client, data: bytes, filename: str = "rows.jsonl", **more: Any) -> str:
    """The id of the job of a whole upload."""
    upload = begin(client, data, filename, **more)
    send(data, upload["urls"])
    return complete(client, upload["id"])


def ended(client: httpx.Client, job_id: str, within_s: float = 60) -> Any:
    """The job when it has ended."""
    deadline = time.monotonic() + within_s
    while True:
        job = client.get(f"/api/jobs/{job_id}").json()["data"]
        if job["status"] in ("succeeded", "failed", "cancelled"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def succeeded(client: httpx.Client, job_id: str) -> Any:
    """The result of a job that has to succeed."""
    job = ended(client, job_id)
    assert job["status"] == "succeeded", job["error"]
    return job["result"]


def failed(client: httpx.Client, job_id: str) -> Any:
    """The error of a job that has to fail."""
    job = ended(client, job_id)
    assert job["status"] == "failed", job
    return job["error"]


def downloaded_sha256(client: httpx.Client, dataset_id: str) -> str:
    """The hash of what comes down."""
    digest = hashlib.sha256()
    with client.stream("GET", f"/api/datasets/{dataset_id}/download") as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_bytes():
            digest.update(chunk)
    return digest.hexdigest()


def incoming_keys(engine: Engine) -> list[str]:
    """What lies under incoming/."""
    listed = engine.store.client.list_objects_v2(Bucket=engine.bucket.name, Prefix="incoming/")
    return [found["Key"] for found in listed.get("Contents", [])]


@contextmanager
def io_engine(database: Database, redis_url: str, bucket: Bucket, folder: Path) -> Iterator[Engine]:
    """A dispatcher that clears up at once, and a worker of the io queue."""
    with running_engine(database, redis_url, bucket, folder) as made:
        made.more_environment["SIMORGH_UPLOAD_CLEAR_EVERY_S"] = "0.2"
        made.start_dispatcher()
        made.start_worker("io", 2)
        yield made
