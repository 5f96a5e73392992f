"""People who work while processes are restarted: they know two gateways, and note what they meet at each."""

import json
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

import httpx

ROWS = [{"question": f"پرسش شماره {n} چیست؟", "answer": f"پاسخ شماره {n} این است."} for n in range(40)]
TINY = {
    "modelName": "simorgh-2m", "method": "pretrain", "batchSize": 2, "sequenceLength": 64, "vocabSize": 300,
    "learningRate": 1e-3, "loggingSteps": 1, "saveSteps": 20, "evalSteps": 1000, "threads": 1, "epochs": 10_000,
}  # fmt: skip
ENDS_WITHIN_S = 600.0


@dataclass
class Watch:
    """What clients met."""

    addresses: Sequence[str]
    headers: dict[str, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    jobs: set[str] = field(default_factory=set)
    """Accepted: they have to end well."""
    phase: str = "nothing is restarted"
    """What happens, so that what is wrong can be told to be of one release or the other."""
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, wrong: str | None = None) -> None:
        """Count something; `wrong` says what a claim is broken by."""
        with self.lock:
            self.answers[what] += 1
            if wrong is not None:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} ({self.phase}) {what}: {wrong}"[:400])

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


def wait(claim: Callable[[], Any], within_s: float = ENDS_WITHIN_S) -> Any:
    """What the claim gives, once it gives something."""
    deadline = time.monotonic() + within_s
    while not (found := claim()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{within_s:.0f} s passed")
        time.sleep(0.3)
    return found


def note(text: str) -> None:
    """A line about what happens."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
