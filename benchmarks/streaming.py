"""What the trials of serving share: a platform with one model, and clients that cost little beside it.

A client is a bare connection: one request, read as it comes, left when it likes. SDKs take more of the processor than
the server has left for them.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from ingest import signed_up

from simorgh_cli.platform import Platform, running_platform
from simorgh_cli.processes import SERVICES

QUESTIONS = ("Write one sentence about the sea.", "Name three birds.", "یک جمله درباره سیمرغ بنویس.", "What is 2 + 2?")
_WANTED = ("api", "dispatcher", "inference")
_QUIET_S = 60.0
_WORDS = re.compile(rb'"content": ?"[^"]')


@dataclass
class Outcome:
    """What became of one request."""

    status: int = 0
    """0 where the connection broke before an answer."""
    retry_after_s: float | None = None
    first_s: float | None = None
    num_events: int = 0
    is_whole: bool = False
    has_left: bool = False
    error: str = ""

    @property
    def has_failed(self) -> bool:
        """Neither answered, nor left by the client, nor told to come again."""
        if self.status == httpx.codes.TOO_MANY_REQUESTS:
            return self.retry_after_s is None
        return not self.has_left and not self.is_whole


@dataclass
class Trial:
    """A platform that serves one model of a new account."""

    platform: Platform
    client: httpx.Client
    model_id: str

    def version(self) -> str:
        """The newest version's id."""
        found: str = self.client.get(f"/api/models/{self.model_id}").json()["data"]["versions"][0]["version_id"]
        return found

    def metric(self, name: str) -> float:
        """A number that the inference server tells Prometheus."""
        text = httpx.get(f"{self.platform.inference_url}/metrics", timeout=10).text
        return next(float(line.split()[-1]) for line in text.splitlines() if line.split(" ")[0] == name)

    async def ask(self, body: dict[str, Any], leave_after: int | None = None, leave_s: float | None = None) -> Outcome:
        """One streamed request through the gateway."""
        headers = {"authorization": self.client.headers["authorization"]}
        return await ask(self.platform.api_url, headers, body, leave_after, leave_s)


async def ask(
    url: str,
    headers: Mapping[str, str],
    body: dict[str, Any],
    leave_after: int | None = None,
    leave_s: float | None = None,
) -> Outcome:
    """One streamed request, left after so many events or seconds where those are named."""
    outcome = Outcome()
    try:
        async with asyncio.timeout(leave_s):
            await _ask(url, headers, body, leave_after, outcome)
    except TimeoutError:
        outcome.has_left = True
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        outcome.error = repr(error)
    return outcome


async def _ask(
    url: str, headers: Mapping[str, str], body: dict[str, Any], leave_after: int | None, outcome: Outcome
) -> None:
    at = urlsplit(url)
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    try:
        payload = json.dumps(body | {"stream": True}).encode()
        lines = (
            "POST /v1/chat/completions HTTP/1.1", f"host: {at.netloc}", "content-type: application/json",
            *(f"{name}: {value}" for name, value in headers.items()), f"content-length: {len(payload)}",
            "connection: close",
        )  # fmt: skip
        writer.write("\r\n".join((*lines, "", "")).encode() + payload)
        outcome.status = int((await reader.readuntil(b"\r\n")).split()[1])
        for line in (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines():
            if line.startswith("retry-after:"):
                outcome.retry_after_s = float(line.partition(":")[2])
        if outcome.status != httpx.codes.OK:
            outcome.error = (await reader.read(2_000)).decode(errors="replace")[-300:]
            return
        await _read_events(reader, begun, leave_after, outcome)
    finally:
        writer.transport.abort()  # as a client that is gone, not one that says farewell


async def _read_events(reader: asyncio.StreamReader, begun: float, leave_after: int | None, outcome: Outcome) -> None:
    while line := await reader.readline():
        if not line.startswith(b"data: "):
            continue
        outcome.num_events += 1
        if outcome.first_s is None and _WORDS.search(line):
            outcome.first_s = time.perf_counter() - begun
        if b'"error"' in line[:20]:
            outcome.error = line.decode(errors="replace")[:300]
        outcome.is_whole = line.startswith(b"data: [DONE]")
        if leave_after is not None and outcome.num_events >= leave_after and not outcome.is_whole:
            outcome.has_left = True
            return


@contextmanager
def running_trial(model: Path, **variables: str) -> Iterator[Trial]:
    """The embedded platform with this model under the name `bird`, loaded and converted."""
    services = [service for service in SERVICES if service.name in _WANTED]
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    with (
        tempfile.TemporaryDirectory(prefix="simorgh-trial-") as name,
        running_platform(Path(name) / "data", given, note, services) as platform,
        signed_up(platform.api_url) as client,
    ):
        client.timeout = httpx.Timeout(600)
        yield Trial(platform, client, upload(client, model, "bird"))


def upload(client: httpx.Client, model: Path, name: str) -> str:
    """Send a folder; the model's id."""
    files = [("files", (path.name, path.read_bytes())) for path in sorted(model.iterdir()) if path.is_file()]
    answer = client.post("/api/models/upload", files=files, data={"name": name})
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])
    found: str = answer.json()["data"]["model_id"]
    return found


def warm(trial: Trial, model: str, engine: str) -> None:
    """Ask until this engine answers: a conversion may come first."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTIONS[0]}], "max_tokens": 2}
    log = trial.platform.data_dir / "logs" / "inference.log"
    while True:
        answer = trial.client.post("/v1/chat/completions", json=body)
        if answer.is_error:
            raise RuntimeError(answer.text[:1_000])
        lines = [line for line in log.read_text().splitlines() if "engine_ready" in line or "engine_taken_over" in line]
        if any(f'"{engine}"' in line for line in lines if "engine_ready" in line):
            return
        time.sleep(1.0)


def wait_quiet(trial: Trial) -> float:
    """The requests that engines hold once they have had the time to hear that their clients are gone."""
    deadline = time.monotonic() + _QUIET_S
    while (held := trial.metric("simorgh_inference_requests_held")) and time.monotonic() < deadline:
        time.sleep(0.5)
    return held


def note(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)
