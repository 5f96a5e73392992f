"""Owns sending large files straight to storage: in parts, several at once, going on where it was cut off."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from simorgh_cli.api.connection import Connection, quoted
from simorgh_cli.api.errors import LostError, RefusedError
from simorgh_shared.datasets.files import quick_fingerprint
from simorgh_shared.domain.errors import InvalidInputError

_UPLOADS = "/api/datasets/uploads"
_THREADS = 4
_URLS_AT_ONCE = 16
_TRIES = 5  # of a part, each after a longer wait
_WAIT_S = 0.5
_SILENCE_S = 60.0
_CHUNK_BYTES = 1 << 18
_EDGE_BYTES = 1 << 20
_POLL_S = 0.25
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Watcher:
    """What is told of the progress."""

    moved: Callable[[int], None] = lambda _bytes: None
    """So many more bytes lie in storage; fewer, where a part has to be sent again."""
    checked: Callable[[int, int], None] = lambda _bytes, _total: None
    """So many bytes of all are checked."""
    queued: Callable[[str], None] = lambda _job_id: None
    """All was sent, and this job goes on by itself."""


def upload(
    connection: Connection, files: Sequence[Path], fields: Mapping[str, Any], watcher: Watcher | None = None
) -> dict[str, Any]:
    """Send a train file, and a test file if there is one, and wait for what becomes of them.

    Raises: RefusedError with the errors by line; LostError when API or storage do not answer.
    """
    watch = watcher or Watcher()
    sent = [_send(connection, path, fields if place == 0 else {}, watch) for place, path in enumerate(files)]
    upload_id, sha256 = sent[0]
    body = {"sha256": sha256}
    for test_id, test_sha256 in sent[1:]:
        body |= {"test_upload_id": test_id, "test_sha256": test_sha256}
    job = _data(connection.call("POST", f"{_UPLOADS}/{quoted(upload_id)}/complete", body))
    watch.queued(str(job["id"]))
    return _made(connection, wait(connection, str(job["id"]), watch.checked))


def convert(
    connection: Connection, dataset_id: str, body: Mapping[str, Any], watcher: Watcher | None = None
) -> dict[str, Any]:
    """Have a dataset of another kind of rows made, and wait for it.

    Raises: RefusedError with the errors by line.
    """
    job = _data(connection.call("POST", f"/api/datasets/{quoted(dataset_id)}/convert", body))
    return _made(connection, wait(connection, str(job["id"]), (watcher or Watcher()).checked))


def wait(connection: Connection, job_id: str, checked: Callable[[int, int], None]) -> dict[str, Any]:
    """The result of a job when it has succeeded.

    Raises: RefusedError with what the job says of its failure.
    """
    while True:
        job = _data(connection.get(f"/api/jobs/{quoted(job_id)}"))
        if (total := job["progress"].get("total_bytes")) is not None:
            checked(int(job["progress"].get("bytes", 0)), int(total))
        if job["status"] == "succeeded":
            result: dict[str, Any] = job["result"]
            return result
        if job["status"] in ("failed", "cancelled"):
            error = job["error"] or {"code": "job_failed", "message": f"Job {job_id} was cancelled."}
            raise RefusedError(httpx.codes.BAD_REQUEST, error["code"], error["message"], error.get("errors", ()))
        time.sleep(_POLL_S)


def _made(connection: Connection, result: Mapping[str, Any]) -> dict[str, Any]:
    """The dataset as an upload in one request would have shown it."""
    params = {"version": result["version"]}
    dataset = _data(connection.get(f"/api/datasets/{quoted(result['dataset_id'])}", **params))
    said = ("created", "total_lines", "valid_lines", "error_count", "errors")
    return {**dataset, **{name: result[name] for name in said}}


def _send(connection: Connection, path: Path, fields: Mapping[str, Any], watch: Watcher) -> tuple[str, str]:
    """Bring a whole file to storage; the upload's id and the file's hash."""
    size = path.stat().st_size
    body = {"filename": path.name, "bytes": size, "fingerprint": fingerprint(path), **fields}
    upload = _data(connection.call("POST", _UPLOADS, body))
    watch.moved(sum(part["bytes"] for part in upload["stored"]))
    with _Sender(path, int(upload["part_bytes"]), watch.moved) as sender:
        missing = upload["missing"]
        for start in range(0, len(missing), _URLS_AT_ONCE):
            numbers = missing[start : start + _URLS_AT_ONCE]
            sender.send(lambda wanted: _sign(connection, str(upload["id"]), wanted), numbers)
        return str(upload["id"]), sender.sha256()


def fingerprint(path: Path) -> str:
    """By which the server knows this file again, without reading all of it."""
    about = path.stat()
    with path.open("rb") as file:
        head = file.read(_EDGE_BYTES)
        file.seek(max(0, about.st_size - _EDGE_BYTES))
        return quick_fingerprint(about.st_size, about.st_mtime_ns, head, file.read(_EDGE_BYTES))


def _sign(connection: Connection, upload_id: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
    signed = _data(connection.call("POST", f"{_UPLOADS}/{quoted(upload_id)}/parts", {"numbers": list(numbers)}))
    urls: list[dict[str, Any]] = signed["urls"]
    return urls


def _data(body: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = body["data"]
    return data


class _CutError(Exception):
    """A part did not arrive; it may be sent again."""


class _Sender:
    """Sends parts of one file, and hashes the file beside that."""

    def __init__(self, path: Path, part_bytes: int, moved: Callable[[int], None]) -> None:
        self._path = path
        self._part_bytes = part_bytes
        self._moved = moved
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = ThreadPoolExecutor(_THREADS + 1, "send")
        self._clients: dict[bool, httpx.Client] = {}
        self._hash = self._threads.submit(self._digest)

    def __enter__(self) -> "_Sender":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._stopped.set()
        self._threads.shutdown(cancel_futures=kind is not None)
        for client in self._clients.values():
            client.close()

    def sha256(self) -> str:
        """The hash of the file."""
        return self._hash.result()

    def send(self, sign: Callable[[Sequence[int]], list[dict[str, Any]]], numbers: Sequence[int]) -> None:
        """Send these parts, again and with new addresses where that is needed."""
        left = list(numbers)
        for attempt in range(_TRIES):
            sent = [(part, self._threads.submit(self._put, part)) for part in sign(left)]
            lost: Exception | None = None
            left = []
            for part, future in sent:
                try:
                    future.result()
                except _CutError as error:
                    lost = error
                    left.append(part["number"])
            if lost is None:
                return
            self._stopped.wait(_WAIT_S * 2**attempt)
        raise LostError("storage_unreachable", url=_origin(sent[0][0]["url"]), reason=str(lost).rstrip(".")) from lost

    def _put(self, part: Mapping[str, Any]) -> None:
        progress = _Moved(self._moved, self._lock)
        headers = {"content-length": str(part["bytes"])}
        try:
            start = (part["number"] - 1) * self._part_bytes
            answer = self._client(part["url"]).put(
                part["url"], content=self._chunks(start, part["bytes"], progress), headers=headers
            )
        except httpx.HTTPError as error:
            progress.take_back()
            raise _CutError(str(error) or type(error).__name__) from error
        except BaseException:
            progress.take_back()
            raise
        if answer.is_error:
            progress.take_back()
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise RefusedError(answer.status_code, "upload_lost", "The upload has ended meanwhile. Begin anew.")
            raise _CutError(f"it answered {answer.status_code}")

    def _client(self, url: str) -> httpx.Client:
        with self._lock:
            is_local = urlsplit(url).hostname in _LOOPBACK
            if is_local not in self._clients:
                timeout = httpx.Timeout(_SILENCE_S, connect=5.0)
                self._clients[is_local] = httpx.Client(timeout=timeout, trust_env=not is_local)
            return self._clients[is_local]

    def _chunks(self, start: int, num_bytes: int, progress: "_Moved") -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(start)
            left = num_bytes
            while left and not self._stopped.is_set():
                chunk = file.read(min(_CHUNK_BYTES, left))
                if not chunk:
                    raise InvalidInputError("file_unusable", path=str(self._path), reason="it became shorter meanwhile")
                left -= len(chunk)
                yield chunk
                progress.add(len(chunk))

    def _digest(self) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while (chunk := file.read(_CHUNK_BYTES)) and not self._stopped.is_set():
                digest.update(chunk)
        return digest.hexdigest()


class _Moved:
    """What of one part was told; it can be taken back."""

    def __init__(self, moved: Callable[[int], None], lock: threading.Lock) -> None:
        self._tell, self._lock, self._bytes = moved, lock, 0

    def add(self, num_bytes: int) -> None:
        """So many more."""
        self._bytes += num_bytes
        with self._lock:
            self._tell(num_bytes)

    def take_back(self) -> None:
        """The part did not arrive."""
        with self._lock:
            self._tell(-self._bytes)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
