"""The job engine as real processes: a dispatcher and workers on the test's own database, broker and bucket."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.db.models import Dataset, DatasetVersion, Job, Project
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue import claiming
from simorgh_shared.queue.claiming import Offer
from simorgh_shared.queue.leases import Lease
from simorgh_shared.queue.submit import NewJob, enqueue, notify_queued
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.s3 import make_client
from tests.support.stack import Bucket, Database

ROWS = [(f"پرسش شماره {n} چیست؟", f"پاسخ شماره {n} این است.") for n in range(40)]
TINY = {
    "model": "simorgh-2m",
    "method": "pretrain",
    "batch_size": 2,
    "sequence_length": 64,
    "vocab_size": 300,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_steps": 5,
    "eval_steps": 10,
    "max_steps": 20,
    "epochs": 100,
    "threads": 1,
    "dropout": 0.1,
}


@dataclass
class Engine:
    """A database with a project and a dataset, and the processes that work on it."""

    database: Database
    redis_url: str
    bucket: Bucket
    folder: Path
    sessions: sessionmaker[Session] = field(init=False)
    store: BlobStore = field(init=False)
    project_id: str = field(init=False)
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    more_environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = make_engine(self.database.url)
        self.sessions = make_sessions(self.engine)
        environment = {k.removeprefix("SIMORGH_").lower(): v for k, v in self.bucket.environment().items()}
        settings = StorageSettings.model_validate(environment)
        self.store = BlobStore(make_client(settings), self.bucket.name)
        self.project_id = new_id("proj")
        with self.sessions.begin() as session:
            session.add(Project(id=self.project_id, name="test"))

    def environment(self) -> dict[str, str]:
        """What the services are told; leases are short."""
        return (
            dict(os.environ)
            | self.bucket.environment()
            | {
                "SIMORGH_ENVIRONMENT": "development",
                "SIMORGH_DATABASE_URL": self.database.url,
                "SIMORGH_REDIS_URL": self.redis_url,
                "SIMORGH_WORK_DIR": str(self.folder / "work"),
                "SIMORGH_LEASE_S": "2",
                "SIMORGH_HEARTBEAT_S": "0.5",
                "SIMORGH_POLL_S": "1",
                "SIMORGH_REAP_WATCH_S": "1",
                "SIMORGH_RETRY_BACKOFF_S": "0.2",
            }
            | self.more_environment
        )

    def start(self, module: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a service as a child in its own session; its output goes to a file."""
        log = (self.folder / f"{module}-{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.processes.append(process)
        return process

    def start_dispatcher(self) -> "subprocess.Popen[bytes]":
        """Start a dispatcher."""
        return self.start("simorgh_api.dispatcher.main")

    def start_worker(
        self, queues: str = "train.cpu", slots: int | None = 1, *arguments: str
    ) -> "subprocess.Popen[bytes]":
        """Start a worker, and wait until it is listed."""
        before = self.num_workers()
        concurrency = [] if slots is None else ["-c", str(slots)]
        process = self.start("simorgh_trainer.main", "--queues", queues, *concurrency, *arguments)
        self.wait(lambda: self.num_workers() > before, "the worker is listed")
        return process

    def start_voice(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a voice worker, and wait until it is listed."""
        before, threads = self.num_workers(), {"SIMORGH_VOICE_THREADS": "1"}
        folder = {"SIMORGH_VOICE_CACHE_DIR": str(self.folder / "voice-cache")}
        self.more_environment |= threads | folder | environment
        process = self.start("simorgh_voice.main", *arguments)
        self.wait(lambda: self.num_workers() > before, "the voice worker is listed")
        return process

    def num_workers(self) -> int:
        """Workers that are listed."""
        with self.sessions() as session:
            return session.scalar(sa.text("SELECT count(*) FROM workers")) or 0

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()
        self.engine.dispose()

    def submit(self, kind: JobType, queue: Queue, spec: Mapping[str, Any], **more: Any) -> str:
        """Put a job on its queue as the gateway does."""
        with self.sessions.begin() as session:
            job_id = enqueue(session, NewJob(self.project_id, kind, queue, spec, **more))
        notify_queued(self.engine, queue)
        return job_id

    def probe(self, spec: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Submit a job of no work."""
        return self.submit(JobType.PROBE, Queue.IO, spec or {}, **more)

    def take(self, worker: str = "w", lease_s: float = 60, **offer: Any) -> Lease | None:
        """Claim as a worker of the io queue does."""
        with self.sessions.begin() as session:
            return claiming.claim(session, Offer(worker, ["io"], **offer), token=new_token(), lease_s=lease_s)

    def taken(self, **how: Any) -> Lease:
        """Claim, where there must be something to claim."""
        lease = self.take(**how)
        assert lease is not None
        return lease

    def train(self, **changes: Any) -> str:
        """Submit a tiny training job."""
        return self.submit(JobType.TRAIN, Queue.TRAIN_CPU, TINY | {"dataset_version_id": self.dataset()} | changes)

    def dataset(self) -> str:
        """The id of a small dataset's version."""
        with self.sessions() as session:
            known = session.scalar(sa.select(DatasetVersion.id).join(Dataset).where(Dataset.name == "tiny"))
        if known is not None:
            return known
        path = self.folder / "train.jsonl"
        path.write_text("".join(f'{{"question": "{q}", "answer": "{a}"}}\n' for q, a in ROWS), encoding="utf-8")
        return self.add_dataset(path, "tiny")

    def add_dataset(self, path: Path, name: str) -> str:
        """The id of the first version of a new dataset, whose train split this file is."""
        blob = self.store.put(self.sessions, path)
        with self.sessions.begin() as session:
            dataset_id, version_id = new_id("ds"), new_id("dsv")
            session.add(Dataset(id=dataset_id, project_id=self.project_id, name=name))
            session.flush()
            session.add(
                DatasetVersion(
                    id=version_id,
                    dataset_id=dataset_id,
                    version=1,
                    manifest_id=manifests.create(session, "dataset", [manifests.Entry("train.jsonl", blob)]),
                    content_sha256=blob.sha256,
                    row_schema="qa",
                    rows=len(path.read_bytes().splitlines()),
                    bytes=blob.bytes,
                )
            )
        return version_id

    def job(self, job_id: str) -> Job:
        """The job's row now."""
        with self.sessions() as session:
            job = session.get(Job, job_id)
            assert job is not None
            return job

    def events(self, job_id: str) -> list[tuple[int, str, dict[str, Any]]]:
        """The job's events in order."""
        with self.sessions() as session:
            rows = session.execute(
                sa.text("SELECT seq, type, payload FROM job_events WHERE job_id = :id ORDER BY seq"), {"id": job_id}
            )
            return [(row.seq, row.type, row.payload) for row in rows]

    def losses(self, job_id: str) -> dict[int, float]:
        """The loss of each logged step."""
        with self.sessions() as session:
            rows = session.execute(
                sa.text("SELECT step, value FROM metrics WHERE job_id = :id AND name = 'loss'"), {"id": job_id}
            )
            return {row.step: row.value for row in rows}

    def wait_status(self, job_id: str, *statuses: str, within_s: float = 120) -> Job:
        """Wait until the job has one of these statuses."""
        self.wait(lambda: self.job(job_id).status in statuses, f"{job_id} is {' or '.join(statuses)}", within_s)
        return self.job(job_id)

    def wait_step(self, job_id: str, step: int) -> None:
        """Wait until the job has logged this step."""

        def is_logged() -> bool:
            job = self.job(job_id)
            assert job.status != "failed", job.error
            return max(self.losses(job_id), default=0) >= step

        self.wait(is_logged, f"step {step} is logged")

    def wait(self, claim: Callable[[], bool], what: str, within_s: float = 120) -> None:
        """Wait until a claim holds; on failure say what the services printed."""
        deadline = time.monotonic() + within_s
        while not claim():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text(errors="replace")[-3000:] for path in self.folder.glob("*.log"))
                raise AssertionError(f"{within_s} s passed and not: {what}\n{logs}")
            time.sleep(0.05)

    def kill_group(self, process: "subprocess.Popen[bytes]") -> None:
        """kill -9 a service alone: its children must see to themselves."""
        process.kill()
        process.wait()


@contextmanager
def running_engine(database: Database, redis_url: str, bucket: Bucket, folder: Path) -> Iterator[Engine]:
    """An engine without processes yet; they are ended at the end."""
    engine = Engine(database, redis_url, bucket, folder)
    try:
        yield engine
    finally:
        engine.stop()


def new_token() -> str:
    """A lease token."""
    return secrets.token_hex(8)
