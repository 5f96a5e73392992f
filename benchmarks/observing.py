"""What benchmarks/observe.py works with: a real Prometheus, work for every part of a platform, and a cheap client."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml
from streaming import QUESTIONS, note

from deploy.observability import expressions
from simorgh_cli.backing.ports import choose_free
from simorgh_cli.platform import Platform
from voice import ENGLISH, Ours, samples_of, wav_of

SCRAPE_S = 2.0
_READY_S = 30.0
_TINY = {
    "modelName": "simorgh-2m",
    "method": "pretrain",
    "batchSize": 4,
    "sequenceLength": 64,
    "vocabSize": 300,
    "learningRate": 1e-3,
    "loggingSteps": 1,
    "threads": 1,
    "epochs": 10_000,
}


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query finds now.

        Raises: RuntimeError for one that it refuses.
        """
        answer = self._client.post("/api/v1/query", data={"query": query}).json()
        if answer["status"] != "success":
            raise RuntimeError(f"{query}: {answer['error']}")
        result = answer["data"]["result"]
        return result if answer["data"]["resultType"] == "vector" else [{"metric": {}, "value": result}]

    def one(self, query: str) -> float:
        """The value of a query that finds one series."""
        return float(self.ask(query)[0]["value"][1])

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            return self._client.get("/-/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def targets(platform: Platform) -> dict[str, str]:
    """Where each process serves its metrics."""
    found = {}
    for child in platform.supervisor.children:
        variables = child.program.env
        if child.name in ("api", "inference"):
            found[child.name] = urlsplit(platform.api_url if child.name == "api" else platform.inference_url).netloc
        elif "SIMORGH_METRICS_PORT" in variables:
            found[child.name] = f"127.0.0.1:{variables['SIMORGH_METRICS_PORT']}"
    return found


@contextmanager
def running_prometheus(program: Path, folder: Path, at: Mapping[str, str], compared: int) -> Iterator[Prometheus]:
    """One that scrapes these processes, with our rules; it is ended at the end.

    The gateway at the port `compared` is scraped as often as by the configuration that we ship.
    """
    port = choose_free({compared})
    shipped = yaml.safe_load((expressions.FOLDER / "prometheus.yml").read_text())["global"]["scrape_interval"]
    other = {"job_name": "compared", "scrape_interval": shipped}
    other["static_configs"] = [{"targets": [f"127.0.0.1:{compared}"]}]
    statics = [{"targets": [address], "labels": {"process": name}} for name, address in at.items()]
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S:g}s", "evaluation_interval": f"{SCRAPE_S:g}s"},
        "rule_files": [str(expressions.FOLDER / "rules" / "*.yaml")],
        "scrape_configs": [{"job_name": "simorgh", "static_configs": statics}, other],
    }
    folder.mkdir()
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    options = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    command = [str(program), *options, f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        prometheus = Prometheus(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + _READY_S
        while not prometheus.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()[-2_000:])
            time.sleep(0.1)
        yield prometheus
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def busy(client: httpx.Client, whisper: Path) -> Iterator[None]:
    """Training, chat, voice and uploads, each again and again until the end; a model is trained first to chat with."""
    rows = rows_of(200)
    dataset_id = _ok(client.post("/api/datasets/upload", files={"dataset": ("busy.jsonl", rows)}))["id"]
    model_id = wait_trained(client, train(client, dataset_id, 20))
    send_model(client, whisper)
    ours = Ours(client)
    clip = wav_of(samples_of(ours.speak(ENGLISH[0], "espeak:en")[0]))
    run_id = train(client, dataset_id, 100_000)
    works: Sequence[Callable[[], object]] = (
        lambda: chat(client, model_id),
        lambda: chat(client, model_id, stream=True),
        lambda: (ours.hear(clip, "en"), ours.speak(ENGLISH[0], "espeak:en")),
        lambda: client.post("/api/datasets/upload", files={"dataset": (f"{time.time_ns()}.jsonl", rows)}),
        lambda: (browse(client, run_id), time.sleep(0.2)),
        lambda: watch(client, run_id),
    )
    over = threading.Event()
    threads = [threading.Thread(target=_repeat, args=(work, over), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        client.post("/api/train/stop", json={"runId": run_id})
        for thread in threads:
            thread.join(60)


def rows_of(number: int) -> bytes:
    """Small rows for a dataset."""
    now = time.time_ns()
    made = ({"question": f"سؤال {n} چیست؟ {now}", "answer": f"پاسخ شماره {n} این است."} for n in range(number))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made).encode()


def train(client: httpx.Client, dataset_id: str, steps: int) -> str:
    """Start a run; its id."""
    body = _TINY | {"datasetId": dataset_id, "maxSteps": steps, "saveSteps": 50, "evalSteps": 20}
    run_id: str = _ok(client.post("/api/train/start", json=body))["runId"]
    return run_id


def wait_trained(client: httpx.Client, run_id: str) -> str:
    """The model of a run, once it has ended."""
    while True:
        job = _ok(client.get(f"/api/jobs/{run_id}"))
        if job["status"] == "succeeded":
            model_id: str = job["result"]["model_id"]
            return model_id
        if job["status"] in ("failed", "cancelled"):
            raise RuntimeError(str(job["error"]))
        time.sleep(0.5)


def send_model(client: httpx.Client, folder: Path) -> None:
    """Upload Whisper."""
    files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir()) if path.is_file()]
    _ok(client.post("/api/models/upload", files=files, data={"name": "whisper-base"}))


def chat(client: httpx.Client, model: str, *, stream: bool = False) -> None:
    """One answer."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTIONS[2]}], "max_tokens": 24}
    client.post("/v1/chat/completions", json=body | {"stream": stream})


def browse(client: httpx.Client, run_id: str) -> None:
    """What a page of the studio asks for, and what it should not have asked for."""
    for path in ("/api/jobs", f"/api/jobs/{run_id}", "/api/models", "/api/datasets/list", "/api/jobs/nothing"):
        client.get(path)


def watch(client: httpx.Client, run_id: str) -> None:
    """Some of a run's live events."""
    with client.stream("GET", f"/api/jobs/{run_id}/stream") as answer:
        for count, _ in enumerate(answer.iter_lines()):
            if count > 40:
                return


def _repeat(work: Callable[[], object], over: threading.Event) -> None:
    while not over.is_set():
        try:
            work()
        except (httpx.HTTPError, RuntimeError) as error:
            note(f"while busy: {error!r}"[:300])
            over.wait(1.0)


def _ok(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise RuntimeError(f"{answer.request.url.path}: {answer.status_code} {answer.text[:500]}")
    data: dict[str, Any] = answer.json()["data"]
    return data


async def requests_per_s(url: str, path: str, token: str, num_connections: int, seconds: float) -> float:
    """Answers a second over connections that stay open; the client is little more than sockets."""
    at = urlsplit(url)
    request = f"GET {path} HTTP/1.1\r\nhost: {at.netloc}\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    deadline = time.monotonic() + seconds
    answered = 0

    async def connection() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        while time.monotonic() < deadline:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            answered += 1
        writer.close()

    begun = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(num_connections):
            tasks.create_task(connection())
    return answered / (time.monotonic() - begun)
