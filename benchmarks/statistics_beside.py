"""A trial of R-DATA-5: the statistics of a 100 MB upload, while others chat and upload on the same cores.

    python benchmarks/statistics_beside.py --model FOLDER [--bytes N]

It starts an embedded platform of its own (gateway, dispatcher, io worker, inference), uploads the model, chats alone
for a while, uploads the file, and goes on chatting (one answer after the other) and uploading small files until the
statistics are there. It prints one line of JSON and exits with 1 where they take longer than 90 s from the end of the
upload on.
"""

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import numpy as np
from ingest import signed_up, upload

from simorgh_cli.platform import running_platform
from simorgh_cli.processes import SERVICES
from simorgh_shared.datasets.sample import write_sample

WANTED = ("api", "dispatcher", "io", "inference")
WITHIN_S = 90.0
NUM_CHATS_ALONE = 10
QUESTION = "Write one sentence about the sea."


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model to chat with")
    parser.add_argument("--bytes", type=int, default=100_000_000)
    arguments = parser.parse_args()
    services = [service for service in SERVICES if service.name in WANTED]
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    with tempfile.TemporaryDirectory(prefix="simorgh-trial-") as name:
        folder = Path(name)
        with running_platform(folder / "data", given, note, services) as platform:
            figures = try_out(platform.api_url, folder, arguments.model, arguments.bytes)
    print(json.dumps(figures))
    return 0 if figures["met"] else 1


def try_out(url: str, folder: Path, model: Path, num_bytes: int) -> dict[str, Any]:
    """Chat alone, upload, and go on until the statistics are there; what was measured."""
    client = signed_up(url)
    files = [("files", (path.name, path.read_bytes())) for path in sorted(model.iterdir()) if path.is_file()]
    answer = client.post("/api/models/upload", files=files, data={"name": "chatty"})
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])
    chat(client)  # loads the model
    alone = [chat(client) for _ in range(NUM_CHATS_ALONE)]
    path = folder / "rows.jsonl"
    write_rows(path, num_bytes)
    chats: list[float] = []
    uploads: list[float] = []
    with again_and_again(lambda: chats.append(chat(client))), again_and_again(lambda: uploads.append(small(client))):
        upload(client, path, "large")
        ended = time.monotonic()
        note(f"{num_bytes / 1e6:,.0f} MB are uploaded; {len(chats)} chats so far")
        found = next(one for one in client.get("/api/datasets/list").json()["data"] if one["name"] == "large")
        while (state := told(client, found["id"])["status"]) != "ready":
            if state not in ("queued", "running"):
                raise RuntimeError(f"the statistics are {state}")
            time.sleep(0.5)
        taken_s = time.monotonic() - ended
    return {
        "bytes": num_bytes,
        "statistics_s": round(taken_s, 1),
        "chats": len(chats),
        "chat_median_s": {"alone": round(statistics.median(alone), 3), "beside": round(statistics.median(chats), 3)},
        "chat_p95_s": {"alone": p95(alone), "beside": p95(chats)},
        "small_uploads": len(uploads),
        "small_upload_median_s": round(statistics.median(uploads), 3),
        "met": taken_s <= WITHIN_S,
    }


def write_rows(path: Path, num_bytes: int) -> None:
    """Questions of 4 to 12 and answers of 10 to 80 words of the sample, at random: hardly a row is like another."""
    random = Random(0)
    with tempfile.TemporaryDirectory() as folder:
        text = write_sample(Path(folder)).train_path.read_text(encoding="utf-8")
    words = [word for word in re.findall(r"[\w\u200c]+", text) if word not in ("question", "answer", "category")]
    with path.open("wb") as file:
        while file.tell() < num_bytes:
            question = " ".join(random.choices(words, k=random.randint(4, 12))) + "؟"
            answer = " ".join(random.choices(words, k=random.randint(10, 80))) + "."
            file.write(json.dumps({"question": question, "answer": answer}, ensure_ascii=False).encode() + b"\n")


def told(client: httpx.Client, dataset_id: str) -> dict[str, Any]:
    """The state of a dataset's statistics."""
    body: dict[str, Any] = client.get(f"/api/datasets/{dataset_id}").json()["data"]["statistics"]
    return body


def chat(client: httpx.Client) -> float:
    """The seconds of one answer of 24 tokens."""
    body = {"model": "chatty", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 24}
    begun = time.perf_counter()
    answer = client.post("/v1/chat/completions", json=body)
    if answer.status_code == 429:
        time.sleep(float(answer.headers["retry-after"]))
        return chat(client)
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])
    return time.perf_counter() - begun


_numbers = iter(range(1, 1_000_000))


def small(client: httpx.Client) -> float:
    """The seconds of one upload of a few rows; two seconds pass before it."""
    time.sleep(2.0)
    rows = b"".join(b'{"question": "a %d", "answer": "b"}\n' % number for number in [next(_numbers)] * 3)
    begun = time.perf_counter()
    answer = client.post("/api/datasets/upload", files={"dataset": ("small.jsonl", rows)})
    if answer.is_error and answer.status_code != 429:
        raise RuntimeError(answer.text[:1_000])
    return time.perf_counter() - begun


@contextmanager
def again_and_again(work: Callable[[], object]) -> Iterator[None]:
    """Do something in a thread until the block ends."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def p95(values: list[float]) -> float:
    """In seconds."""
    return round(float(np.percentile(values, 95)), 3)


def note(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
