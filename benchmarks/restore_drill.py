"""A trial of R-DEPLOY-5: a platform backed up in the middle of a run, wiped, and restored by the command line.

    python benchmarks/restore_drill.py [--steps 400]

It prints one line of JSON and exits with 1 where a claim does not hold: each file has its hash, the model answers as
before (greedily, the same text), the run that was active goes on from its checkpoint and ends, its losses are those
that were logged before the backup, and nothing that ended before has changed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from people import ROWS, TINY, note, wait

from simorgh_cli.environment import script
from simorgh_cli.platform import Platform, running_platform
from simorgh_cli.processes import SERVICES
from simorgh_shared.backup.contents import complete_backups, read_blob_lines, read_contents
from simorgh_shared.backup.places import FolderPlace
from simorgh_shared.storage.blobs import file_sha256

_WANTED = ("api", "dispatcher", "trainer-cpu", "io", "inference")
_ACCOUNT = {"email": "drill@example.test", "password": "correct horse battery", "name": "Drill"}
_QUESTION = {"messages": [{"role": "user", "content": ROWS[7]["question"]}], "max_tokens": 24, "temperature": 0}


def main() -> int:
    """Run the drill; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="of the run that is active when the backup is taken")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="simorgh-drill-") as name:
        data, kept = Path(name) / "data", Path(name) / "kept"
        with started(data) as (_, client):
            dataset = {"dataset": ("rows.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS).encode())}
            dataset_id = ok(client.post("/api/datasets/upload", files=dataset))["dataset_id"]
            first = train(client, dataset_id, 60)
            model = wait(lambda: status(client, first)["modelId"])
            before, ended = answer(client, model), events(client, first)
            active = train(client, dataset_id, asked.steps)
            wait(lambda: any(event["type"] == "checkpoint" for event in events(client, active)))
            backup_s = run("backup", "--to", str(kept), "--data", str(data))
            run("backup", "--to", str(kept), "--data", str(data), "--keep", "1", "--verify")
            logged = losses(client, active)
        damaged = check_files(kept)
        shutil.rmtree(data)
        restore_s = run("restore", "--from", str(kept), "--data", str(data))
        with started(data) as (_, client):
            found = {
                "same_answer": answer(client, model) == before,
                "ended_run_as_it_was": events(client, first) == ended,
                "active_run_ends": wait(lambda: phase_at_the_end(client, active)) == "succeeded",
                "went_on": any(event["type"] == "resumed" for event in events(client, active)),
            }
            again = losses(client, active)
            found["losses_kept"] = bool(logged) and all(again.get(step) == loss for step, loss in logged.items())
    told = {"backup_s": backup_s, "restore_s": restore_s, "files_damaged": damaged, "losses": len(again), **found}
    print(json.dumps(told))
    return 0 if not damaged and all(found.values()) else 1


@contextmanager
def started(data: Path) -> Iterator[tuple[Platform, httpx.Client]]:
    """The platform on this folder, and somebody who has signed in."""
    given = {"PATH": os.environ["PATH"], "HOME": str(data.parent), "SIMORGH_ENGINE": "transformers"}
    services = [service for service in SERVICES if service.name in _WANTED]
    with (
        running_platform(data, given, note, services) as platform,
        httpx.Client(base_url=platform.api_url, timeout=120) as client,
    ):
        signed = client.post("/api/auth/login", json={k: _ACCOUNT[k] for k in ("email", "password")})
        if signed.is_error:
            signed = client.post("/api/auth/register", json=_ACCOUNT)
        client.headers["authorization"] = f"Bearer {signed.raise_for_status().json()['data']['access_token']}"
        yield platform, client


def run(*words: str) -> float:
    """`simorgh` with these words, which has to end well; how long it took."""
    began = time.monotonic()
    done = subprocess.run([script("simorgh"), *words], text=True, capture_output=True, check=False)
    note(f"simorgh {words[0]}: {done.stdout.strip() or done.stderr.strip()}")
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return round(time.monotonic() - began, 1)


def check_files(kept: Path) -> int:
    """How many files of the newest backup are not what their names say, by a reader of its own."""
    place = FolderPlace(kept)
    contents, _ = read_contents(place, complete_backups(place)[-1])
    lines = list(read_blob_lines(place, contents))
    assert lines, "the backup has no files"
    return sum(line.lost or (not line.is_gzipped and file_sha256(kept / line.file) != line.sha256) for line in lines)


def train(client: httpx.Client, dataset_id: str, steps: int) -> str:
    """Start a run; its id."""
    return str(ok(client.post("/api/train/start", json=TINY | {"dataset": dataset_id, "maxSteps": steps}))["runId"])


def status(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """A run as it is now."""
    return ok(client.get("/api/train/status", params={"runId": run_id}))


def phase_at_the_end(client: httpx.Client, run_id: str) -> str | None:
    """How a run has ended; None until then."""
    phase = str(status(client, run_id)["phase"])
    return phase if phase in ("succeeded", "failed", "cancelled") else None


def events(client: httpx.Client, run_id: str) -> list[dict[str, Any]]:
    """What happened to a run, in order."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = client.get(f"/api/jobs/{run_id}/events", params={"limit": 200, **more}).raise_for_status().json()
        found += page["data"]
        cursor = page.get("next_cursor")
        if not cursor:
            return found


def losses(client: httpx.Client, run_id: str) -> dict[int, float]:
    """The loss of each step that was logged."""
    told = [event["payload"] for event in events(client, run_id) if event["type"] == "metrics"]
    return {point["step"]: point["values"]["loss"] for point in told if point["values"].get("loss") is not None}


def answer(client: httpx.Client, model: str) -> str:
    """What a model says to the one question."""
    said = client.post("/v1/chat/completions", json=_QUESTION | {"model": model}).raise_for_status().json()
    return str(said["choices"][0]["message"]["content"])


def ok(answered: httpx.Response) -> dict[str, Any]:
    """The data of an answer that is no error."""
    if answered.is_error:
        raise RuntimeError(answered.text[:1_000])
    found: dict[str, Any] = answered.json()["data"]
    return found


if __name__ == "__main__":
    sys.exit(main())
