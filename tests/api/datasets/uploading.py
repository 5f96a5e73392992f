"""What the tests of uploads share: rows, answers as a person reads them, and forms written byte by byte."""

import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

PATH = "/api/datasets/upload"
BOUNDARY = "a-boundary"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def row(question: str, answer: str = "درود") -> bytes:
    """A line of JSONL."""
    return json.dumps({"question": question, "answer": answer}, ensure_ascii=False).encode() + b"\n"


ROW = row("سلام")
OTHER_ROW = row("خوبی؟", "بله")


def upload(client: httpx.Client, files: object = None, **fields: str) -> httpx.Response:
    """Send a form as httpx writes it: fields before files."""
    return client.post(PATH, files=files or {"dataset": ("a.jsonl", ROW)}, data=fields)


def ok(answer: httpx.Response) -> Any:
    """The data of a good answer."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["ok"] is True
    return answer.json()["data"]


def refused(answer: httpx.Response, status: int = 400) -> str:
    """The sentence of a refusal."""
    assert answer.status_code == status, answer.text
    assert answer.json()["ok"] is False
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["error"])


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    """One part of a form, with the boundary before it."""
    more = "" if filename is None else f'; filename="{filename}"'
    return raw_part(f'Content-Disposition: form-data; name="{name}"{more}'.encode(), value)


def raw_part(headers: bytes, value: bytes) -> bytes:
    """One part with headers of one's own."""
    return f"--{BOUNDARY}\r\n".encode() + headers + b"\r\n\r\n" + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(client: httpx.Client, body: bytes | Iterable[bytes], content_type: str = FORM_TYPE) -> httpx.Response:
    """Send a body as it is; an iterable goes chunked, without a content-length."""
    return client.post(PATH, content=body, headers={"content-type": content_type})


@dataclass(frozen=True)
class Conversation:
    """A request that is being sent byte by byte."""

    connection: http.client.HTTPConnection

    def send(self, data: bytes) -> None:
        """Send more of the body."""
        self.connection.send(data)

    def answer(self) -> httpx.Response:
        """What the gateway says."""
        answer = self.connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@contextmanager
def begun(client: httpx.Client, num_bytes: int, **headers: str) -> Iterator[Conversation]:
    """An upload of which the head was sent, with `num_bytes` as its length. At the end of the block we leave."""
    address = urlsplit(str(client.base_url))
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.putrequest("POST", PATH)
    told = {"authorization": client.headers["authorization"], "content-type": FORM_TYPE}
    for name, value in {**told, "content-length": str(num_bytes), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    with closing(connection):
        yield Conversation(connection)


def wait_until(condition: Callable[[], object], what: str, within_s: float = 15.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.01)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Data in pieces of one size."""
    return (data[start : start + size] for start in range(0, len(data), size))
