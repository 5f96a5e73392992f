"""make bench-ingest: an upload through the gateway beside a bare msgspec loop over the same file, in one run.

    python benchmarks/ingest.py [--bytes N] [--seconds N]

The file holds 100 MB of question/answer rows. Ours is HTTP upload, validation with line numbers, rows, bytes, sha256
and storage, from the first byte sent to the answer; statistics are a job of their own and are not waited for (the io
worker does not run). The gateway's memory is sampled: its growth over idle has a goal of its own.

`storage alone` sends the same file to the same storage with our client and does nothing else: an upper bound. The
processor time that one upload takes is told by process, for the ratio's real limit is their sum over the cores.
"""

import argparse
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import psutil
from measuring import report, run_rounds

from simorgh_cli.platform import running_platform
from simorgh_cli.processes import SERVICES
from simorgh_shared.datasets.sample import write_sample
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.blobs import TRANSFER
from simorgh_shared.storage.s3 import make_client

GROWTH_BYTES = 64 << 20
_BOUNDARY = "simorgh-bench"
_PIECE_BYTES = 1 << 20


class QuestionAnswer(msgspec.Struct):
    """What the bare loop decodes."""

    question: str
    answer: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=100_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    wanted = [service for service in SERVICES if service.name == "api"]
    with tempfile.TemporaryDirectory(prefix="simorgh-bench-") as name:
        folder = Path(name)
        given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        given["SIMORGH_MAX_UPLOAD_BYTES"] = str(2 * arguments.bytes)
        with running_platform(folder / "data", given, lambda text: None, wanted) as platform:
            gateway = next(child for child in platform.supervisor.children if child.name == "api")
            assert gateway.pid is not None
            measure(platform.api_url, gateway.pid, folder, arguments.bytes, arguments.seconds)


def measure(url: str, gateway_pid: int, folder: Path, num_bytes: int, seconds: float) -> None:
    """Interleave uploads of files that are new each time with the loop over the same file."""
    client = signed_up(url)
    rows = make_rows(num_bytes)
    size = len(rows) / 1e6
    number = 0
    growth: list[float] = []
    spent: list[dict[str, float]] = []
    storage = storage_of(gateway_pid)

    def fresh() -> Path:
        nonlocal number
        number += 1
        return write_rows(folder / "rows.jsonl", rows, number)

    def ours() -> float:
        path = fresh()
        before = processor_s(gateway_pid)
        with peak_memory(gateway_pid) as memory:
            begun = time.perf_counter()
            upload(client, path, f"bench-{number}")
            taken = time.perf_counter() - begun
        growth.append(memory[0])
        spent.append({name: value - before[name] for name, value in processor_s(gateway_pid).items()})
        return size / taken

    def alone() -> float:
        client, bucket = storage
        begun = time.perf_counter()
        client.upload_file(str(folder / "rows.jsonl"), bucket, "bench", Config=TRANSFER)
        return size / (time.perf_counter() - begun)

    def loop() -> float:
        path = folder / "rows.jsonl"
        begun = time.perf_counter()
        decode_all(path)
        return size / (time.perf_counter() - begun)

    def read() -> float:
        begun = time.perf_counter()
        with (folder / "rows.jsonl").open("rb", buffering=0) as file:
            while file.read(_PIECE_BYTES):
                pass
        return size / (time.perf_counter() - begun)

    ours()  # the first request loads what later ones have
    growth.clear()
    variants = {"simorgh upload": ours, "bare msgspec loop": loop, "storage alone": alone, "plain read": read}
    rounds = run_rounds(variants, seconds)
    ratios = {
        "upload_vs_msgspec": rounds.ratio("simorgh upload", "bare msgspec loop"),
        "growth_mb": max(growth) / 1e6,
        "storage_vs_msgspec": rounds.ratio("storage alone", "bare msgspec loop"),
    }
    goals = {"upload_vs_msgspec": (">=", 0.5), "growth_mb": ("<=", GROWTH_BYTES / 1e6)}
    processor = {name: round(statistics.median(one[name] for one in spent), 2) for name in spent[0]}
    report("ingest", "MB/s", rounds, ratios, goals, {"bytes": num_bytes, "processor_s_of_one_upload": processor})


def storage_of(gateway_pid: int) -> tuple[Any, str]:
    """A client of ours of the storage that the gateway uses, and the bucket."""
    names = {
        name.removeprefix("SIMORGH_").lower(): value for name, value in psutil.Process(gateway_pid).environ().items()
    }
    settings = StorageSettings.model_validate({name: value for name, value in names.items() if name.startswith("s3_")})
    return make_client(settings), settings.s3_bucket


def processor_s(gateway_pid: int) -> dict[str, float]:
    """What the processes of an upload have taken so far; children are told of when they have ended."""
    gateway = psutil.Process(gateway_pid).cpu_times()
    weed = next(one for one in psutil.Process().children(recursive=True) if one.name() == "weed").cpu_times()
    return {
        "gateway": gateway.user + gateway.system,
        "check": gateway.children_user + gateway.children_system,
        "storage": weed.user + weed.system,
    }


def signed_up(url: str) -> httpx.Client:
    """A client of a new account."""
    body = {"email": "bench@example.test", "password": "correct horse battery", "name": "Bench"}
    token = httpx.post(f"{url}/api/auth/register", json=body).raise_for_status().json()["data"]["access_token"]
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=120)


def make_rows(num_bytes: int) -> bytes:
    """Rows of the sample's questions and answers, paired at random, up to the size.

    Real sentences, and no row near its like: storage packs text, and must not find it easier than a user's.
    """
    random = Random(0)
    with tempfile.TemporaryDirectory() as folder:
        lines = write_sample(Path(folder)).train_path.read_bytes().splitlines()
    pairs = [msgspec.json.decode(line, type=QuestionAnswer) for line in lines]
    rows: list[bytes] = []
    size = 0
    while size < num_bytes:
        row = QuestionAnswer(random.choice(pairs).question, random.choice(pairs).answer)
        rows.append(msgspec.json.encode(row) + b"\n")
        size += len(rows[-1])
    return b"".join(rows)


def write_rows(path: Path, rows: bytes, number: int) -> Path:
    """A file of the rows with one before them that makes it another one each time."""
    first = QuestionAnswer(f"پرسش {number}", "پاسخ")
    path.write_bytes(msgspec.json.encode(first) + b"\n" + rows)
    return path


def upload(client: httpx.Client, path: Path, name: str) -> None:
    """Send the form over a plain socket: the client shares the cores, and must not be what is measured."""
    target = urlsplit(str(client.base_url))
    head = (
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="name"\r\n\r\n{name}\r\n'
        f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="dataset"; filename="{name}.jsonl"\r\n\r\n'
    ).encode()
    tail = f"\r\n--{_BOUNDARY}--\r\n".encode()
    length = len(head) + path.stat().st_size + len(tail)
    request = (
        f"POST /api/datasets/upload HTTP/1.1\r\nhost: {target.netloc}\r\ncontent-length: {length}\r\n"
        f"authorization: {client.headers['authorization']}\r\nconnection: close\r\n"
        f"content-type: multipart/form-data; boundary={_BOUNDARY}\r\n\r\n"
    ).encode()
    with socket.create_connection((target.hostname or "", target.port or 80)) as connection, path.open("rb") as file:
        connection.sendall(request + head)
        connection.sendfile(file)
        connection.sendall(tail)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer[:2_000].decode(errors="replace"))


def decode_all(path: Path) -> int:
    """The bare loop: a typed struct of each line; characters counted so that the work cannot be left out."""
    decode = msgspec.json.Decoder(QuestionAnswer).decode
    characters = 0
    with path.open("rb") as file:
        for line in file:
            row = decode(line)
            characters += len(row.question) + len(row.answer)
    return characters


@contextmanager
def peak_memory(pid: int) -> Iterator[list[float]]:
    """The growth of a process over what it has at first, in bytes, sampled until the block ends."""
    process = psutil.Process(pid)
    idle = process.memory_info().rss
    grown = [0.0]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.01):
            grown[0] = max(grown[0], process.memory_info().rss - idle)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield grown
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
