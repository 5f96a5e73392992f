"""A trial of R-DATA-8: 5 GB of rows go straight to storage, the client is killed twice, and the same bytes come back.

    python benchmarks/large_upload.py [--bytes N] [--folder DIR] [--statistics]

It starts an embedded platform of its own (gateway, dispatcher, io worker) in a temporary folder, which takes four
times the file's size meanwhile, and prints one line of JSON. With `--statistics` it waits for those as well, and tells
what their child took (R-DATA-5). It exits with 1 where a claim does not hold.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from simorgh_cli.platform import Platform, running_platform
from simorgh_cli.processes import SERVICES

WANTED = ("api", "dispatcher", "io")
KILLED_AT = (0.25, 0.6)
"""When so much of the file lies in storage, the client is killed."""
MEMORY_BYTES = 64 << 20
STATISTICS_BYTES = 512 << 20
STATISTICS_MODULE = "simorgh_trainer.statistics"
EMAIL, PASSWORD = "trial@example.test", "correct horse battery"
IDLE_S = 5.0


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=5_000_000_000)
    parser.add_argument("--folder", type=Path, help="Where there is room (default: the system's temporary folder).")
    parser.add_argument("--statistics", action="store_true", help="Wait for the statistics of the file.")
    arguments = parser.parse_args()
    services = [service for service in SERVICES if service.name in WANTED]
    with tempfile.TemporaryDirectory(prefix="simorgh-trial-", dir=arguments.folder) as name:
        folder = Path(name)
        file = folder / "rows.jsonl"
        sha256, num_rows = write_rows(file, arguments.bytes)
        given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        with running_platform(folder / "data", given, note, services) as platform:
            figures = try_out(platform, folder, file, sha256, num_rows, with_statistics=arguments.statistics)
    print(json.dumps(figures))
    return 0 if figures["sha256_equal"] and figures["within_memory"] else 1


def try_out(
    platform: Platform, folder: Path, file: Path, sha256: str, num_rows: int, *, with_statistics: bool
) -> dict[str, Any]:
    """Send, kill, send again, wait, and fetch; what was measured."""
    client = Client(platform, folder)
    gateway = next(child for child in platform.supervisor.children if child.name == "api")
    assert gateway.pid is not None
    with httpx.Client(base_url=platform.api_url, headers=client.headers(), timeout=60) as api:
        time.sleep(IDLE_S)
        with sampled(gateway.pid) as memory:
            idle = memory.peak
            began = time.monotonic()
            stored = [client.killed_at(api, file, share) for share in KILLED_AT]
            result = client.finish(api, file, began)
            fetched_at = time.monotonic()
            back = downloaded_sha256(api, result["dataset_id"])
            download_s = time.monotonic() - fetched_at
        counted = statistics_of(api, result["dataset_id"]) if with_statistics else {}
    more = memory.peak - idle
    return {
        "bytes": file.stat().st_size,
        "rows": num_rows,
        "kills": len(stored),
        "stored_at_kills": stored,
        "sha256_equal": back == sha256 and result["sha256"] == sha256 and result["rows"] == num_rows,
        "upload_s": round(result["sent_s"], 1),
        "import_s": round(result["import_s"], 1),
        "download_s": round(download_s, 1),
        "gateway_idle_bytes": idle,
        "gateway_peak_bytes": memory.peak,
        "gateway_more_bytes": more,
        **counted,
        "within_memory": more <= MEMORY_BYTES and counted.get("statistics_peak_bytes", 0) <= STATISTICS_BYTES,
    }


def statistics_of(api: httpx.Client, dataset_id: str) -> dict[str, Any]:
    """Wait for the statistics, which began when the rows were imported; what their child took since it is watched."""
    began, child, peak, cpu_s, last_note = time.monotonic(), None, 0, 0.0, 0.0
    while True:
        told = api.get(f"/api/datasets/{dataset_id}").raise_for_status().json()["data"]["statistics"]
        if told["status"] not in ("queued", "running"):
            break
        child = child or next((one for one in psutil.Process().children(recursive=True) if _is_statistics(one)), None)
        if child is not None:
            with contextlib.suppress(psutil.Error):
                # The kernel's own high-water mark: nothing that came between two looks is missed.
                peak = _peak_bytes(child.pid)
                cpu_s = sum(child.cpu_times()[:2])
        if time.monotonic() - last_note >= 60:
            last_note = time.monotonic()
            note(f"the statistics are {told['status']}: {cpu_s:.0f} s of processor time, {peak / 1e6:.0f} MB at most")
        time.sleep(0.5)
    if told["status"] != "ready" or not peak:
        raise RuntimeError(f"the statistics are {told['status']}, and their child's peak was {peak}")
    return {
        "statistics_more_s": round(time.monotonic() - began, 1),
        "statistics_processor_s": round(cpu_s, 1),
        "statistics_peak_bytes": peak,
    }


def _is_statistics(process: psutil.Process) -> bool:
    try:
        return STATISTICS_MODULE in process.cmdline()
    except psutil.Error:
        return False


def _peak_bytes(pid: int) -> int:
    """The most resident memory that a process has had (proc(5), VmHWM)."""
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) << 10


class Client:
    """The installed command line, signed in."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "SIMORGH_PASSWORD": PASSWORD,
            "SIMORGH_URL": platform.api_url,
            "LANG": "C.UTF-8",
        }
        self._program = str(Path(sysconfig.get_path("scripts")) / "simorgh")
        self._run("login", "--email", EMAIL)
        self._login = json.loads((home / "simorgh" / "login.json").read_text())["logins"][0]

    def headers(self) -> dict[str, str]:
        """Who is asking, for calls of our own."""
        with httpx.Client(base_url=self._environment["SIMORGH_URL"], timeout=20) as api:
            api.headers["authorization"] = f"Bearer {self._login['access_token']}"
            key = api.post("/api/keys", json={"name": "trial", "scopes": ["read", "write"]}).raise_for_status().json()
        return {"authorization": f"Bearer {key['data']['key']}"}

    def killed_at(self, api: httpx.Client, file: Path, share: float) -> int:
        """Send until so much lies in storage, then SIGKILL; how much lay there after that."""
        running = self._start("datasets", "upload", str(file), "--json")
        while stored_bytes(api) < share * file.stat().st_size:
            if running.poll() is not None:
                raise RuntimeError(f"the client ended by itself with {running.returncode}")
            time.sleep(0.1)
        running.kill()
        running.wait()
        note(f"killed the client with {stored_bytes(api):,} bytes in storage")
        return stored_bytes(api)

    def finish(self, api: httpx.Client, file: Path, began: float) -> dict[str, Any]:
        """Send the rest and wait for the job; its result, and when the last part had come and the job had ended."""
        running = self._start("datasets", "upload", str(file), "--json")
        while not (jobs := api.get("/api/jobs", params={"type": "import"}).raise_for_status().json()["data"]):
            if running.poll() is not None:
                raise RuntimeError(f"the client ended by itself with {running.returncode}")
            time.sleep(0.1)
        sent_s = time.monotonic() - began
        if running.wait() != 0:
            raise RuntimeError(f"the client ended with {running.returncode}")
        job = api.get(f"/api/jobs/{jobs[0]['id']}").raise_for_status().json()["data"]
        return {**job["result"], "sent_s": sent_s, "import_s": time.monotonic() - began - sent_s}

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._program, *arguments], env=self._environment, stdout=sys.stderr, check=True)

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([self._program, *arguments], env=self._environment, stdout=sys.stderr)


class Memory:
    """The most resident memory so far."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.peak = 0
        self.look()

    def look(self) -> None:
        """Look once, with the children that check uploads."""
        family = [self._process, *self._process.children(recursive=True)]
        total = 0
        for process in family:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        self.peak = max(self.peak, total)


@contextmanager
def sampled(pid: int) -> Iterator[Memory]:
    """Look twenty times a second."""
    memory, ended = Memory(pid), threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            memory.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def write_rows(path: Path, num_bytes: int) -> tuple[str, int]:
    """Valid rows, the same every time, of about so many bytes; their hash and their number."""
    dice, digest, written, num_rows = random.Random(5), hashlib.sha256(), 0, 0
    words = ["".join(dice.choices("ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی", k=dice.randint(2, 9))) for _ in range(4_000)]
    with path.open("wb") as file:
        while written < num_bytes:
            lines = []
            for number in range(num_rows, num_rows + 2_000):
                question, answer = " ".join(dice.choices(words, k=12)), " ".join(dice.choices(words, k=40))
                lines.append(f'{{"question": "{number} {question}؟", "answer": "{answer}."}}\n')
            block = "".join(lines).encode()
            digest.update(block)
            written += file.write(block)
            num_rows += len(lines)
    return digest.hexdigest(), num_rows


def stored_bytes(api: httpx.Client) -> int:
    """How much of the open upload lies in storage."""
    uploads = api.get("/api/datasets/uploads").raise_for_status().json()["data"]
    if not uploads:
        return 0
    upload = api.get(f"/api/datasets/uploads/{uploads[0]['id']}").raise_for_status().json()["data"]
    return sum(part["bytes"] for part in upload["stored"])


def downloaded_sha256(api: httpx.Client, dataset_id: str) -> str:
    """The hash of what comes down."""
    digest = hashlib.sha256()
    with api.stream("GET", f"/api/datasets/{dataset_id}/download") as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            digest.update(chunk)
    return digest.hexdigest()


def note(text: str) -> None:
    """Say what happens, beside the figures."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
