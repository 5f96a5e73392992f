"""A trial of R-DEPLOY-5 and fault 46: every process restarted, one release beside the other, while people work.

    python benchmarks/rolling_restart.py [--older COMMIT] [--steps 2000]

The older release (by default the commit before the newest migration) runs two gateways, dispatcher, trainer, io and
voice workers and an inference server. Clients train, follow runs, chat, upload datasets and have texts spoken; they
know both gateways, and go on at the other one. Then the newer release migrates, each process is ended by SIGTERM and
started again by the newer release, and after that by the older one, on the newer schema: a rollback.

It prints one line of JSON and exits with 1 where a claim does not hold: no accepted job is lost or done twice, events
come without gap or repeat, no answer is broken off, and no 5xx comes but 503 with Retry-After.
"""

import argparse
import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any

import httpx
import psycopg
from releases import Process, Release, before_the_newest_migration, drop, migrate, release

from simorgh_cli.backing.ports import choose_free
from simorgh_cli.backing.servers import BackingServers

ROWS = [{"question": f"پرسش شماره {n} چیست؟", "answer": f"پاسخ شماره {n} این است."} for n in range(40)]
TINY = {
    "modelName": "simorgh-2m", "method": "pretrain", "batchSize": 2, "sequenceLength": 64, "vocabSize": 300,
    "learningRate": 1e-3, "loggingSteps": 1, "saveSteps": 20, "evalSteps": 1000, "threads": 1, "epochs": 10_000,
}  # fmt: skip
_BETWEEN_S = 4.0
_ENDS_WITHIN_S = 600.0


@dataclass
class Watch:
    """What clients met."""

    addresses: Sequence[str]
    headers: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    """Accepted: they have to end well."""
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, wrong: str | None = None) -> None:
        """Count something; `wrong` says what a claim is broken by."""
        with self.lock:
            self.answers[what] += 1
            if wrong is not None:
                self.wrong.append(f"{what}: {wrong}"[:400])

    def call(self, what: str, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, repeated at the other address until somebody answers it. 503 says when to come again."""
        for address in cycle(self.addresses):
            try:
                with httpx.Client(base_url=address, headers=self.headers, timeout=90) as client:
                    answer = client.request(method, path, **more)
            except httpx.TransportError:
                self.note(f"{what} refused")
                time.sleep(0.2)
                continue
            self.judge(what, answer)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            time.sleep(min(float(answer.headers.get("retry-after", "1")), 5.0))
        raise AssertionError("cycle has no end")

    def judge(self, what: str, answer: httpx.Response) -> None:
        """Whether an answer may come in a restart."""
        told = answer.status_code < 500 or (answer.status_code == 503 and "retry-after" in answer.headers)
        self.note(f"{what} {answer.status_code}", None if told else answer.read().decode(errors="replace"))


def chat(watch: Watch, model: str, number: int) -> None:
    """Ask again and again, streamed, each gateway by turns. An answer that has begun has to end."""
    body = {"model": model, "messages": [{"role": "user", "content": "پرسش"}], "max_tokens": 48, "stream": True}
    for turn in count(number):
        if watch.over.is_set():
            return
        address = watch.addresses[turn % len(watch.addresses)]
        last, has_begun = "", False
        try:
            with (
                httpx.Client(base_url=address, headers=watch.headers, timeout=90) as client,
                client.stream("POST", "/v1/chat/completions", json=body) as answer,
            ):
                watch.judge("chat", answer)
                has_begun = answer.status_code == httpx.codes.OK
                if not has_begun:
                    time.sleep(min(float(answer.headers.get("retry-after", "1")), 2.0))
                for line in answer.iter_lines():
                    last = line or last
        except httpx.TransportError as error:
            watch.note("chat broken off" if has_begun else "chat refused", repr(error) if has_begun else None)
            continue
        if has_begun and last != "data: [DONE]":
            watch.note("chat broken off", last)


def follow(watch: Watch, job_id: str) -> None:
    """Read a job's events to its end, at one gateway and the other, as an EventSource does."""
    seen = 0
    for address in cycle(watch.addresses):
        try:
            with (
                httpx.Client(base_url=address, headers=watch.headers, timeout=30) as client,
                client.stream("GET", f"/api/jobs/{job_id}/stream", headers={"last-event-id": str(seen)}) as answer,
            ):
                watch.judge("stream", answer)
                for line in answer.iter_lines():
                    if line.startswith("id: "):
                        if int(line[4:]) != seen + 1:
                            watch.note("event", f"{line} after {seen}")
                        seen = int(line[4:])
                    if line in ("event: succeeded", "event: failed", "event: cancelled"):
                        watch.note(f"stream to the end ({line[7:]})")
                        return
        except httpx.TransportError:
            watch.note("stream cut")
        time.sleep(0.3)


def upload(watch: Watch) -> None:
    """Send datasets, each of which a job looks through."""
    while not watch.over.wait(1.0):
        rows = [*ROWS, {"question": secrets.token_hex(8), "answer": "."}]
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        name = f"{secrets.token_hex(4)}.jsonl"
        watch.call("upload", "POST", "/api/datasets/upload", files={"dataset": (name, data)})


def speak(watch: Watch) -> None:
    """Have texts spoken, and wait for each."""
    body = {"model": "espeak", "voice": "espeak:fa", "input": "سیمرغ سی مرغ است.", "response_format": "wav"}
    while not watch.over.wait(0.5):
        answer = watch.call("speech", "POST", "/v1/audio/speech", json=body)
        if answer.status_code != httpx.codes.OK:
            watch.note("speech", answer.text)


def train(watch: Watch, dataset_id: str, steps: int) -> str:
    """Start a run; its id. A request whose answer is lost is sent again by its key."""
    key = {"idempotency-key": secrets.token_hex(8)}
    body = TINY | {"dataset": dataset_id, "maxSteps": steps}
    answer = watch.call("train", "POST", "/api/train/start", json=body, headers=key)
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])
    run_id = str(answer.json()["data"]["runId"])
    watch.jobs.add(run_id)
    return run_id


def processes(folder: Path, shared: dict[str, str]) -> list[Process]:
    """All that is restarted, in the order of it: those first whom the others find by themselves again."""
    gateways = [int(port) for port in shared["TRIAL_GATEWAYS"].split()]

    def made(name: str, module: str, *arguments: str, port: int | None = None, **more: str) -> Process:
        at = port or choose_free(set())
        told = shared | ({"SIMORGH_METRICS_PORT": str(at)} if port is None else {}) | more
        return Process(name, module, arguments, told, f"http://127.0.0.1:{at}/livez", folder / f"{name}.log")

    trainer, inference = "simorgh_trainer.main", int(shared["SIMORGH_INFERENCE_PORT"])
    return [
        *(made(f"api-{port}", "simorgh_api.main", port=port, SIMORGH_API_PORT=str(port)) for port in gateways),
        made("dispatcher", "simorgh_api.dispatcher.main"),
        made("trainer-cpu", trainer, "--queues", "train.cpu,optimize.cpu", "-c", "1"),
        made("io", trainer, "--queues", "io", "-c", "2"),
        made("voice-cpu", "simorgh_voice.main", "--queues", "voice.cpu"),
        made("inference", "simorgh_inference.main", port=inference),
    ]


def environment(folder: Path, servers: BackingServers) -> dict[str, str]:
    """What every process is told."""
    at = servers.endpoints()
    gateways = [choose_free(set()) for _ in range(2)]
    inference = choose_free(set(gateways))
    return {
        "PATH": os.environ["PATH"], "HOME": str(folder), "TRIAL_GATEWAYS": " ".join(map(str, gateways)),
        "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "SIMORGH_ENVIRONMENT": "development",
        "SIMORGH_DATABASE_URL": at.database_url, "SIMORGH_REDIS_URL": at.redis_url,
        "SIMORGH_S3_ENDPOINT_URL": at.s3_endpoint_url, "SIMORGH_S3_ACCESS_KEY_ID": at.s3_access_key_id,
        "SIMORGH_S3_SECRET_ACCESS_KEY": at.s3_secret_access_key, "SIMORGH_S3_BUCKET": at.s3_bucket,
        "SIMORGH_SIGNING_KEY": secrets.token_urlsafe(48), "SIMORGH_INTERNAL_KEY": secrets.token_urlsafe(24),
        "SIMORGH_MANIFEST_KEY": secrets.token_urlsafe(32), "SIMORGH_ENGINE": "transformers",
        "SIMORGH_INFERENCE_PORT": str(inference), "SIMORGH_INFERENCE_URL": f"http://127.0.0.1:{inference}",
        "SIMORGH_WORK_DIR": str(folder / "work"), "SIMORGH_CACHE_DIR": str(folder / "cache"),
        "SIMORGH_VOICE_CACHE_DIR": str(folder / "voice-cache"), "SIMORGH_VOICE_THREADS": "1",
    }  # fmt: skip


def prepared(watch: Watch) -> tuple[str, str]:
    """An account, a dataset and a model; the ids of the latter two."""
    account = {"email": "trial@example.test", "password": "correct horse battery", "name": "Trial"}
    token = watch.call("prepare", "POST", "/api/auth/register", json=account).json()["data"]["access_token"]
    # Keys outlive the restarts; a token would have to be renewed.
    watch.headers["authorization"] = f"Bearer {token}"
    named = {"name": "trial", "scopes": ["read", "write"]}
    key = watch.call("prepare", "POST", "/api/keys", json=named).json()["data"]["key"]
    watch.headers["authorization"] = f"Bearer {key}"
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
    files = {"dataset": ("rows.jsonl", data)}
    dataset_id = watch.call("prepare", "POST", "/api/datasets/upload", files=files).json()["data"]["dataset_id"]
    first = train(watch, dataset_id, 20)
    model = wait(lambda: watch.call("prepare", "GET", f"/api/train/status?runId={first}").json()["data"]["modelId"])
    return dataset_id, str(model)


def wait(claim: Callable[[], Any], within_s: float = _ENDS_WITHIN_S) -> Any:
    """What the claim gives, once it gives something."""
    deadline = time.monotonic() + within_s
    while not (found := claim()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{within_s:.0f} s passed")
        time.sleep(0.3)
    return found


@contextmanager
def working(watch: Watch, model: str, runs: Sequence[str]) -> Iterator[None]:
    """Everybody works meanwhile; followers go on to the ends of their runs."""
    told = [(chat, (watch, model, number)) for number in range(3)]
    told += [(upload, (watch,)), (speak, (watch,))]  # type: ignore[list-item]
    clients = [threading.Thread(target=target, args=arguments, daemon=True) for target, arguments in told]
    followers = [threading.Thread(target=follow, args=(watch, run), daemon=True) for run in runs for _ in range(2)]
    for thread in (*clients, *followers):
        thread.start()
    yield
    watch.over.set()
    for thread in clients:
        thread.join(120)
    for thread in followers:
        thread.join(_ENDS_WITHIN_S)


def restart_all(all_processes: Sequence[Process], by: Release) -> dict[str, float]:
    """One after the other; how long each took to end."""
    took = {}
    for process in all_processes:
        took[process.name] = round(process.end(), 1)
        process.start(by)
        time.sleep(_BETWEEN_S)
        note(f"{process.name} runs the {by.name} release, ended in {took[process.name]} s")
    return took


def lost_jobs(url: str) -> list[str]:
    """Jobs that did not end well, and those that ended twice or whose events have gaps."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        rows = connection.execute(
            """
            SELECT j.id || ' ' || j.type || ' ' || j.status || coalesce(' ' || (j.error ->> 'message'), '') FROM jobs j
            WHERE j.status <> 'succeeded' OR j.last_seq <> (SELECT count(*) FROM job_events e WHERE e.job_id = j.id)
                OR (SELECT count(*) FROM job_events e WHERE e.job_id = j.id AND type = 'succeeded') <> 1
            """
        ).fetchall()
    return [str(row[0]) for row in rows]


def note(text: str) -> None:
    """A line about what happens."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--older", metavar="COMMIT")
    parser.add_argument("--steps", type=int, default=2_000, help="of each of the two runs that go on meanwhile")
    asked = parser.parse_args()
    commit = asked.older or before_the_newest_migration()
    with tempfile.TemporaryDirectory(prefix="simorgh-trial-") as name:
        folder = Path(name)
        older, newer = release(commit, folder / "older"), release(None, folder / "newer")
        servers = BackingServers(folder / "data", durable=False)
        servers.start()
        shared = environment(folder, servers)
        everything = processes(folder, shared)
        owner = shared | {"SIMORGH_DATABASE_OWNER_URL": servers.endpoints().database_owner_url}
        owner["SIMORGH_DATABASE_APP_ROLE"] = servers.endpoints().database_app_role
        watch = Watch([f"http://127.0.0.1:{port}" for port in shared["TRIAL_GATEWAYS"].split()])
        try:
            note(migrate(older, owner))
            for process in everything:
                process.start(older)
            dataset_id, model = prepared(watch)
            runs = [train(watch, dataset_id, asked.steps) for _ in range(2)]
            with working(watch, model, runs):
                time.sleep(_BETWEEN_S)
                note(migrate(newer, owner))
                time.sleep(_BETWEEN_S)
                forth = restart_all(everything, newer)
                back = restart_all(everything, older)
            with suppress(RuntimeError):
                wait(lambda: not lost_jobs(servers.endpoints().database_url))
            lost = lost_jobs(servers.endpoints().database_url)
        finally:
            for process in everything:
                process.kill()
            servers.stop()
            drop(folder / "older")
    told = {
        "older": commit[:12], "forth_s": forth, "back_s": back, "jobs_lost": lost, "wrong": watch.wrong[:20],
        "answers": dict(sorted(watch.answers.items())),
    }  # fmt: skip
    print(json.dumps(told, ensure_ascii=False))
    return 1 if lost or watch.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
