"""A trial of R-DEPLOY-5 and fault 46: every process restarted, one release beside the other, while people work.

    python benchmarks/rolling_restart.py [--older COMMIT] [--steps 2000]

The older release (by default the commit before the newest migration, or, where that does not end well by itself, the
first that does) runs two gateways, dispatcher, trainer, io and
voice workers and an inference server. Clients train, follow runs, chat, upload datasets and have texts spoken; they
know both gateways, and go on at the other one. Then the newer release migrates, each process is ended by SIGTERM and
started again by the newer release, and after that by the older one, on the newer schema: a rollback.

It prints one line of JSON and exits with 1 where a claim does not hold: no accepted job is lost or done twice, events
come without gap or repeat, no answer is broken off, no 5xx comes but 503 with Retry-After, and workers did hand runs
over. At the end two controls have to be found: gateways that are killed, and an event that is missing.
"""

import argparse
import json
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from people import ENDS_WITHIN_S, ROWS, Watch, chat, follow, note, speak, train, upload, wait
from releases import Process, Release, drop, migrate, older_release, release

from simorgh_cli.backing.ports import choose_free
from simorgh_cli.backing.servers import BackingServers

_BETWEEN_S = 4.0
_LEAST_HANDED_OVER = 2
"""The trainer is restarted twice, each time in the middle of a run."""


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
        thread.join(ENDS_WITHIN_S)


def restart_all(all_processes: Sequence[Process], former: Release, by: Release, watch: Watch) -> dict[str, float]:
    """One after the other; how long each took to end."""
    took = {}
    for process in all_processes:
        watch.phase = f"{process.name} of the {former.name} release ends"
        took[process.name] = round(process.end(), 1)
        watch.phase = f"{process.name} of the {by.name} release starts"
        process.start(by)
        time.sleep(_BETWEEN_S)
        note(f"{process.name} runs the {by.name} release, ended in {took[process.name]} s")
    return took


def lost_jobs(url: str, spoil: str | None = None) -> list[str]:
    """Jobs that did not end well, and those that ended twice or whose events have gaps.

    `spoil` is a statement that goes before and is undone: a control.
    """
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        if spoil is not None:
            connection.execute(spoil.encode())
        rows = connection.execute(
            """
            SELECT j.id || ' ' || j.type || ' ' || j.status || coalesce(' ' || (j.error ->> 'message'), '') FROM jobs j
            WHERE j.status <> 'succeeded' OR j.last_seq <> (SELECT count(*) FROM job_events e WHERE e.job_id = j.id)
                OR (SELECT count(*) FROM job_events e WHERE e.job_id = j.id AND type = 'succeeded') <> 1
            """
        ).fetchall()
        connection.rollback()
    return [str(row[0]) for row in rows]


def num_handed_over(url: str) -> int:
    """Attempts that a worker gave back because it ended."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT count(*) FROM attempts WHERE outcome = 'drained'").fetchone()
    assert row is not None
    return int(str(row[0]))


def killed_gateways_are_found(everything: Sequence[Process], watch: Watch, model: str) -> bool:
    """The control: a gateway that does not let answers end breaks some off, and the clients here notice it."""
    seen = Watch(watch.addresses, watch.headers)
    clients = [threading.Thread(target=chat, args=(seen, model, number), daemon=True) for number in range(4)]
    for client in clients:
        client.start()
    wait(lambda: seen.answers["chat 200"] > len(clients))
    for process in everything[: len(watch.addresses)]:
        process.kill()
    seen.over.set()
    for client in clients:
        client.join(120)
    return seen.answers["chat broken off"] > 0


def main() -> int:
    """Run the trial; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--older", metavar="COMMIT")
    parser.add_argument("--steps", type=int, default=2_000, help="of each of the two runs that go on meanwhile")
    parser.add_argument("--only", metavar="NAMES", help="restart these alone, such as api,inference")
    asked = parser.parse_args()
    commit = asked.older or older_release()
    with tempfile.TemporaryDirectory(prefix="simorgh-trial-") as name:
        folder = Path(name)
        older, newer = release(commit, folder / "older"), release(None, folder / "newer")
        servers = BackingServers(folder / "data", durable=False)
        servers.start()
        shared = environment(folder, servers)
        everything = processes(folder, shared)
        names = None if asked.only is None else asked.only.split(",")
        restarted = [one for one in everything if names is None or any(one.name.startswith(name) for name in names)]
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
                forth = restart_all(restarted, older, newer, watch)
                back = restart_all(restarted, newer, older, watch)
                watch.phase = "all are restarted"
            with suppress(RuntimeError):
                wait(lambda: not lost_jobs(servers.endpoints().database_url))
            lost = lost_jobs(servers.endpoints().database_url)
            handed_over = num_handed_over(servers.endpoints().database_url)
            spoilt = lost_jobs(owner["SIMORGH_DATABASE_OWNER_URL"], "DELETE FROM job_events WHERE type = 'succeeded'")
            controls = {"killed": killed_gateways_are_found(everything, watch, model), "missing_event": bool(spoilt)}
        finally:
            for process in everything:
                process.kill()
            servers.stop()
            drop(folder / "older")
    told = {
        "older": commit[:12], "forth_s": forth, "back_s": back, "jobs_lost": lost, "handed_over": handed_over,
        "controls_found": controls, "wrong": watch.wrong[:20],
        "answers": dict(sorted(watch.answers.items())),
    }  # fmt: skip
    print(json.dumps(told, ensure_ascii=False))
    return (
        1
        if lost
        or watch.wrong
        or (asked.only is None and handed_over < _LEAST_HANDED_OVER)
        or not all(controls.values())
        else 0
    )


if __name__ == "__main__":
    sys.exit(main())
