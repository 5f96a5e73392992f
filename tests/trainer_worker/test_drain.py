"""Workers that end: when nobody needs them, and within their grace whatever their jobs do."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import Dataset, DatasetVersion, File, Upload
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Lane, Queue
from simorgh_shared.storage.manifests import Entry
from simorgh_trainer.jobs import kinds as trainer_kinds
from simorgh_voice.jobs import kinds as voice_kinds
from tests.support.audio_sets import ClipFile, add_audio_set
from tests.support.engine import TINY, Engine, running_engine
from tests.support.stack import Bucket, Database

GRACE_S = 2.0
SLACK_S = 2.0  # two processors, and others beside
OF_TRAINER = {*trainer_kinds.IN_PROCESS, *trainer_kinds.WITH_CHILD, JobType.BATCH}
OF_VOICE = {*voice_kinds.WITH_ENGINE, *voice_kinds.WITH_CHILD, JobType.EVALUATE_SPEECH}


@pytest.fixture(scope="module")
def engine(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("drain")) as made:
        made.more_environment |= {"SIMORGH_DRAIN_GRACE_S": str(GRACE_S), "SIMORGH_STOP_GRACE_S": "0.5"}
        yield made


@dataclass(frozen=True)
class Ended:
    """Jobs that were running when their workers were told to end, with what those had started frozen."""

    jobs: Mapping[str, str]
    """By kind."""
    waiting: str
    """A parent."""
    took_s: Mapping[str, float]
    exit_codes: Mapping[str, int]
    left: list[psutil.Process]


@pytest.fixture(scope="module")
def ended(engine: Engine, silent_server: str) -> Ended:
    engine.more_environment["SIMORGH_INFERENCE_URL"] = silent_server
    jobs = _submitted(engine)
    parent = jobs.pop(JobType.EVALUATE_SPEECH)
    with running_engine(engine.database, engine.redis_url, engine.bucket, engine.folder) as started:
        started.more_environment = engine.more_environment | {"SIMORGH_VOICE_CACHE_DIR": str(engine.folder / "voice")}
        trainer = started.start("simorgh_trainer.main", "--queues", "train.cpu,optimize.cpu,io", "-c", "8")
        voice = started.start("simorgh_voice.main", "--short-slots", "2", "--long-slots", "3")
        frozen = _frozen_when_all_run(engine, {"trainer": trainer, "voice": voice}, [*jobs.values()], parent)
        jobs[JobType.HEAR_CLIPS] = _child_of(engine, parent)
        begun = time.monotonic()
        trainer.terminate()
        voice.terminate()
        took_s, exit_codes = {}, {}
        for name, worker in (("trainer", trainer), ("voice", voice)):
            exit_codes[name] = worker.wait(GRACE_S + 20)
            took_s[name] = time.monotonic() - begun
    _, left = psutil.wait_procs(frozen, timeout=2)
    for process in left:
        process.kill()
    return Ended(jobs, parent, took_s, exit_codes, left)


class TestDrain:
    def test_every_kind_of_job_is_among_them(self, ended: Ended) -> None:
        assert {*ended.jobs, JobType.EVALUATE_SPEECH} == OF_TRAINER | OF_VOICE

    @pytest.mark.parametrize("kind", sorted((OF_TRAINER | OF_VOICE) - {JobType.EVALUATE_SPEECH}))
    def test_a_job_goes_back_to_its_queue_and_no_failure_is_counted(
        self, engine: Engine, ended: Ended, kind: str
    ) -> None:
        """R-JOB-1, R-DEPLOY-5: though its child is frozen, its engine does not start, or its server is silent."""
        job = engine.job(ended.jobs[kind])
        assert (job.status, job.failures_in_row, job.attempt, job.lease_token) == ("queued", 0, 1, None)
        with engine.sessions() as session:
            outcomes = sa.text("SELECT outcome FROM attempts WHERE job_id = :id")
            assert list(session.scalars(outcomes, {"id": job.id})) == ["drained"]

    def test_a_parent_waits_on(self, engine: Engine, ended: Ended) -> None:
        assert engine.job(ended.waiting).status == "waiting"

    @pytest.mark.parametrize("worker", ["trainer", "voice"])
    def test_the_workers_are_gone_within_their_grace(self, engine: Engine, ended: Ended, worker: str) -> None:
        """R-DEPLOY-3: so that terminationGracePeriodSeconds can be set above it."""
        assert ended.took_s[worker] < GRACE_S + SLACK_S
        assert ended.exit_codes[worker] == 0
        assert engine.num_workers() == 0

    def test_nothing_that_they_had_started_is_left(self, ended: Ended) -> None:
        assert ended.left == []


class TestExitWhenIdle:
    def test_a_worker_that_never_got_a_job_ends_though_redis_is_silent(
        self, engine: Engine, silent_server: str
    ) -> None:
        """R-DEPLOY-3: ScaledJobs; exit code 0, and off the list. Celery hangs then, and does not hold it up."""
        before = engine.more_environment
        engine.more_environment = before | {"SIMORGH_REDIS_URL": f"{silent_server.replace('http', 'redis')}/0"}
        begun = time.monotonic()
        worker = engine.start("simorgh_trainer.main", "--queues", "train.gpu", "--exit-when-idle", "0.5")
        engine.more_environment = before
        assert worker.wait(30) == 0
        assert time.monotonic() - begun > 0.5
        assert engine.num_workers() == 0

    def test_none_ends_while_a_job_runs_or_was_just_claimed(self, engine: Engine) -> None:
        """R-DEPLOY-3: one long job, then others at just about the idle time: each that was claimed has succeeded."""
        idle_s = 0.4
        jobs = [engine.submit(JobType.PROBE, Queue.OPTIMIZE_GPU, {"sleep_ms": 1200})]
        worker = engine.start("simorgh_trainer.main", "--queues", "optimize.gpu", "--exit-when-idle", str(idle_s))
        engine.wait_status(jobs[0], "running", within_s=30)
        assert engine.wait_status(jobs[0], "succeeded", within_s=30).attempt == 1
        for number in range(3):
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(idle_s * (0.9 + 0.15 * number))
            jobs.append(engine.submit(JobType.PROBE, Queue.OPTIMIZE_GPU, {"sleep_ms": 20}))
        assert worker.wait(30) == 0
        statuses = [engine.job(job_id).status for job_id in jobs]
        assert set(statuses) <= {"succeeded", "queued"}, statuses
        assert [engine.job(job_id).attempt for job_id in jobs] == [int(status == "succeeded") for status in statuses]


@pytest.fixture(scope="module")
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _frozen_when_all_run(
    engine: Engine, workers: "Mapping[str, subprocess.Popen[bytes]]", jobs: list[str], parent: str
) -> list[psutil.Process]:
    """Freeze each process that the workers start, as soon as it is there, until all jobs run in them."""
    roots = [psutil.Process(worker.pid) for worker in workers.values()]
    frozen: dict[int, psutil.Process] = {}
    num_children = len(trainer_kinds.WITH_CHILD) + len(voice_kinds.WITH_CHILD) + len(voice_kinds.WITH_ENGINE)

    def all_run() -> bool:
        for child in [child for root in roots for child in root.children(recursive=True)]:
            if child.pid not in frozen:
                child.suspend()
                frozen[child.pid] = child
        if len(frozen) < num_children:
            return False
        running = [*jobs, *([_child_of(engine, parent)] if engine.job(parent).status == "waiting" else [parent])]
        return all(engine.job(job_id).status == "running" for job_id in running)

    engine.wait(all_run, "all run, with their children frozen", within_s=60)
    return list(frozen.values())


def _child_of(engine: Engine, parent: str) -> str:
    with engine.sessions() as session:
        found: str = session.execute(sa.text("SELECT id FROM jobs WHERE parent_id = :id"), {"id": parent}).scalar_one()
        return found


def _submitted(engine: Engine) -> dict[str, str]:
    """A job of each kind that can begin, though it does not come far."""
    version = engine.dataset()
    model = _model(engine)
    audio = engine.store.put(engine.sessions, _file(engine.folder / "audio.wav", "not heard"))
    dataset_id = _dataset_of(engine, version)
    sounds = add_audio_set(engine, engine.project_id, "sounds", [ClipFile("a.flac", "سلام", None)])
    heard = {"model_version_id": model, "name": "ear"}
    train = {"dataset_version_id": version}
    evaluation = {
        "dataset_id": sounds,
        "dataset_version_id": _version_of(engine, sounds),
        "dataset_name": "sounds",
        "split": "test",
        "num_rows": 1,
        "models": [heard],
    }
    spoken = {"text": "سلام", "language": "fa", "voice": "espeak:fa", "voice_name": "espeak:fa", "format": "wav"}
    asked: dict[JobType, tuple[Queue, Mapping[str, object], Lane]] = {
        JobType.PROBE: (Queue.IO, {"sleep_ms": 60_000}, Lane.LONG),
        JobType.TRAIN: (Queue.TRAIN_CPU, TINY | train, Lane.LONG),
        JobType.IMPORT: (Queue.IO, _import(engine), Lane.LONG),
        JobType.CONVERT: (Queue.IO, train | {"dataset_id": dataset_id, "name": "c", "to": "text"}, Lane.LONG),
        JobType.STATISTICS: (Queue.IO, train, Lane.LONG),
        JobType.OPTIMIZE: (
            Queue.OPTIMIZE_CPU,
            train | {"base_version_id": model, "method": "onnx", "name": "o"},
            Lane.LONG,
        ),
        JobType.BATCH: (Queue.IO, _batch(engine), Lane.LONG),
        JobType.TRANSCRIBE: (
            Queue.VOICE_CPU,
            {"model_version_id": model, "name": "a", "sha256": audio.sha256},
            Lane.SHORT,
        ),
        JobType.SYNTHESIZE: (Queue.VOICE_CPU, spoken, Lane.SHORT),
        JobType.EVALUATE_SPEECH: (Queue.VOICE_CPU, evaluation, Lane.LONG),
        JobType.CONVERT_MODEL: (Queue.VOICE_CPU, {"base_version_id": model, "quantisation": "int8"}, Lane.LONG),
    }
    return {kind: engine.submit(kind, queue, spec, lane=lane) for kind, (queue, spec, lane) in asked.items()}


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _model(engine: Engine) -> str:
    entry = Entry("config.json", engine.store.put(engine.sessions, _file(engine.folder / "config.json", "{}")))
    with engine.sessions.begin() as session:
        new = NewModel("ear", "base", "safetensors", [entry], {}, {}, None, {})
        return models.register(session, engine.project_id, new).model_version_id


def _dataset_of(engine: Engine, version_id: str) -> str:
    with engine.sessions() as session:
        return session.get_one(DatasetVersion, version_id).dataset_id


def _version_of(engine: Engine, dataset_id: str) -> str:
    with engine.sessions() as session:
        found = session.scalar(sa.select(DatasetVersion.id).join(Dataset).where(Dataset.id == dataset_id))
        assert found is not None
        return found


def _import(engine: Engine) -> Mapping[str, object]:
    body = b'{"question": "a", "answer": "b"}\n'
    upload = Upload(
        id=new_id("upload"),
        project_id=engine.project_id,
        purpose="dataset",
        name="rows.jsonl",
        bytes=len(body),
        part_bytes=5 << 20,
        key=f"incoming/{engine.project_id}/rows",
        status="completed",
    )
    engine.store.client.put_object(Bucket=engine.bucket.name, Key=upload.key, Body=body)
    upload_id = upload.id
    with engine.sessions.begin() as session:
        session.add(upload)
    return {"files": [{"upload_id": upload_id, "split": "train", "filename": "rows.jsonl"}]}


def _batch(engine: Engine) -> Mapping[str, object]:
    url = "/v1/chat/completions"
    line = f'{{"custom_id": "a", "method": "POST", "url": "{url}", "body": {{"model": "ear", "messages": []}}}}\n'
    path = _file(engine.folder / "batch.jsonl", line)
    blob = engine.store.put(engine.sessions, path)
    file_id = new_id("file")
    with engine.sessions.begin() as session:
        file = File(
            id=file_id,
            project_id=engine.project_id,
            purpose="batch",
            name=path.name,
            sha256=blob.sha256,
            bytes=blob.bytes,
        )
        session.add(file)
    return {"input_file_id": file_id, "endpoint": url, "expires_at": time.time() + 3_600}
