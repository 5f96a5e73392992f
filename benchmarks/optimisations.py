"""make trial-optimize: each optimisation of one model through the API, chatted with, and its report's figures.

    python benchmarks/optimisations.py [--model FOLDER] [--minutes N] [--methods A,B] [--rows N] [--prompts N]
        [--max-tokens N] [--check]

It starts an embedded platform of its own (gateway, dispatcher, worker, inference) and uploads paragraphs of Python's
language reference (they come with Python), 200 of which are the test split. The model is the folder's, else one that it
trains on them from nothing. Then it optimises by one method after the other (an adapter for `merge` is trained first)
and asks each version one question; with `--check` each report is measured again, and has to repeat. It prints one line
of JSON, and exits with 1 where a version does not answer, a report does not repeat, or the weights in 8 bits miss what
is asked of them: perplexity within 1 %, and faster than float32.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx
from ingest import signed_up

from simorgh_cli.platform import running_platform
from simorgh_cli.processes import SERVICES

WANTED = ("api", "dispatcher", "trainer-cpu", "inference")
METHODS: dict[str, dict[str, Any]] = {
    "openvino-int8": {},
    "openvino-int4": {},
    "onnx": {},
    "onnx-int8": {},
    "gguf f16": {"precision": "f16"},
    "gguf q8_0": {"precision": "q8_0"},
    "prune-magnitude": {"sparsity": 0.3},
    "prune-structured": {"sparsity": 0.2, "recovery": {"steps": 20}},
    "merge": {"model": "adapter", "dataset": "questions"},
}
HELD_TO = ("openvino-int8",)
"""What must keep perplexity within 1 % and be faster; the others' reports say what they do."""
NUM_TEST = 200
FROM_NOTHING = {"name": "model", "model": "simorgh-2m", "dataset": "reference", "method": "pretrain", "epochs": 1_000}
FROM_NOTHING |= {"learning_rate": 2e-3, "batch_size": 8, "checkpoints_kept": 1, "sequence_length": 256}
ADAPTER = {"name": "adapter", "model": "model", "dataset": "questions", "method": "lora", "max_steps": 20}
ADAPTER |= {"learning_rate": 1e-3, "checkpoints_kept": 1}
SIDES = ("before", "after")
QUESTION = "Write one sentence about the sea."


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--minutes", type=float, default=3.0, help="to train one from nothing")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--rows", type=int, default=NUM_TEST)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--check", action="store_true", help="measure each report again")
    arguments = parser.parse_args()
    services = [service for service in SERVICES if service.name in WANTED]
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    measured = {"rows": arguments.rows, "prompts": arguments.prompts, "max_tokens": arguments.max_tokens}
    with (
        tempfile.TemporaryDirectory(prefix="simorgh-trial-") as name,
        running_platform(Path(name) / "data", given, note, services) as platform,
    ):
        client = signed_up(platform.api_url)
        key = good(client.post("/api/keys", json={"name": "trial"}))["key"]
        client.headers["authorization"] = f"Bearer {key}"  # a token would expire meanwhile
        send_rows(client)
        if arguments.model is not None:
            send_model(client, arguments.model)
        else:
            train(client, FROM_NOTHING | {"max_minutes": arguments.minutes})
        methods = arguments.methods.split(",")
        if "merge" in methods:
            train(client, ADAPTER)
        found = {method: figures(client, method, measured, is_checked=arguments.check) for method in methods}
    is_met = all(one["chats"] and one.get("repeats", True) for one in found.values()) and all(
        holds(found[name]) for name in HELD_TO if name in found
    )
    print(json.dumps({"methods": found, "met": is_met}))
    return 0 if is_met else 1


def send_model(client: httpx.Client, folder: Path) -> None:
    """Upload a model."""
    files = [("files", (path.name, path.read_bytes())) for path in sorted(folder.iterdir()) if path.is_file()]
    good(client.post("/api/models/upload", files=files, data={"name": "model"}))


def send_rows(client: httpx.Client) -> None:
    """Upload the paragraphs; and those of more than a sentence once more, as what follows on their first one."""
    texts = [{"text": row} for row in paragraphs()]
    parted = [row["text"].partition(". ") for row in texts]
    questions = [{"question": f"{first}.", "answer": rest} for first, _, rest in parted if rest]
    for name, rows in (("reference", texts), ("questions", questions)):
        splits = {"dataset": rows[NUM_TEST:], "test": rows[:NUM_TEST]}
        files = {
            split: (f"{split}.jsonl", "".join(json.dumps(row) + "\n" for row in some)) for split, some in splits.items()
        }
        good(client.post("/api/datasets/upload", files=files, data={"name": name}))


def train(client: httpx.Client, body: dict[str, Any]) -> None:
    """Train, to the end."""
    job_id = good(client.post("/api/training/jobs", json=body))["id"]
    while not (job := good(client.get(f"/api/training/jobs/{job_id}")))["finished_at"]:
        time.sleep(1)
    if job["status"] != "succeeded":
        raise RuntimeError(f"{body['name']}: {job['error']}")
    note(f"{body['name']}: trained")


def paragraphs() -> list[str]:
    """Those of Python's language reference that are neither short nor long, each once, in an order of their own."""
    from pydoc_data.topics import topics

    joined = (" ".join(part.split()) for text in topics.values() for part in text.split("\n\n"))
    found = list(dict.fromkeys(part for part in joined if 200 <= len(part) <= 1_200))
    Random(0).shuffle(found)
    return found


def figures(client: httpx.Client, method: str, measured: dict[str, int], *, is_checked: bool) -> dict[str, Any]:
    """What the report of one method says, whether its version answers, and what is found when it is measured again."""
    began = time.monotonic()
    body = {"model": "model", "method": method.split()[0], "dataset": "reference", **METHODS[method], **measured}
    found = ended(client, good(client.post("/api/optimizations", json=body)))
    report = found["report"]
    told = {when: {name: value for name, value in report[when].items() if name != "missing"} for when in SIDES}
    told |= {name: report["gate"][name] for name in ("perplexity_increase", "speedup")}
    told["agreement"] = {name: report["agreement"][name] for name in ("prompts", "share", "equal_start")}
    told["chats"], told["taken_s"] = answers(client, found["model_version_id"]), round(time.monotonic() - began)
    if is_checked:
        again = ended(client, good(client.post(f"/api/optimizations/{found['job']['id']}/check")))
        told["repeats"] = all(one["repeats"] is not False for one in again["differences"])
    note(f"{method}: {json.dumps(told)}")
    return told


def ended(client: httpx.Client, begun: dict[str, Any]) -> dict[str, Any]:
    """An optimisation, or a check of one, when it is over."""
    job_id = begun["job"]["id"]
    while not (found := good(client.get(f"/api/optimizations/{job_id}")))["job"]["finished_at"]:
        time.sleep(1)
    if found["job"]["status"] != "succeeded":
        raise RuntimeError(f"{begun['job']['name']}: {found['job']['error']}")
    view: dict[str, Any] = found
    return view


def answers(client: httpx.Client, version_id: str) -> bool:
    """Whether the version says something."""
    messages = [{"role": "user", "content": QUESTION}]
    body = {"model": version_id, "messages": messages, "max_tokens": 16, "temperature": 0}
    answer = client.post("/v1/chat/completions", json=body, timeout=300)
    if answer.is_error:
        note(answer.text[:500])
        return False
    note(answer.json()["choices"][0]["message"]["content"])
    return bool(answer.json()["usage"]["completion_tokens"])


def holds(told: dict[str, Any]) -> bool:
    """Perplexity within 1 %, and faster."""
    return bool(told["perplexity_increase"] <= 0.01 and (told["speedup"] or 0) > 1)


def good(answer: httpx.Response) -> Any:
    """The data of an answer that has to be good."""
    if answer.is_error:
        raise RuntimeError(answer.text[:1_000])
    return answer.json()["data"]


def note(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
