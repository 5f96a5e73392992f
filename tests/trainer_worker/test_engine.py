"""The job engine with real processes: PostgreSQL, Valkey, S3, Celery worker, training child."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import ModelVersion
from simorgh_shared.domain.jobs import DesiredState, JobType, Lane, Queue
from simorgh_shared.model_folders import safetensors
from simorgh_shared.queue import control
from simorgh_shared.queue.channels import NOTIFY_CONTROL
from simorgh_shared.queue.submit import notify
from simorgh_shared.storage import manifests
from tests.support.engine import TINY, Engine, running_engine
from tests.support.ports import free_port
from tests.support.stack import Bucket, Database

PROBED_PORT = free_port()


@pytest.fixture(scope="module")
def engine(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("engine")) as made:
        made.more_environment["SIMORGH_LIVENESS_S"] = "15"
        made.start_dispatcher()
        made.start_worker("train.cpu")
        made.more_environment["SIMORGH_METRICS_PORT"] = str(PROBED_PORT)
        made.start_worker("io")
        del made.more_environment["SIMORGH_METRICS_PORT"]
        yield made


def ask(engine: Engine, job_id: str, desired: DesiredState) -> None:
    with engine.sessions.begin() as session:
        control.request(session, engine.project_id, job_id, desired)
    notify(engine.engine, NOTIFY_CONTROL, job_id)


def weights_hash(engine: Engine, job_id: str) -> str:
    """The hash of the trained weights, as the registry knows it."""
    with engine.sessions() as session:
        found = session.scalar(
            sa.text(
                "SELECT e.sha256 FROM model_versions v JOIN manifest_entries e USING (manifest_id)"
                " WHERE v.job_id = :id AND e.path = 'model.safetensors'"
            ),
            {"id": job_id},
        )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def uninterrupted(engine: Engine) -> str:
    """A training job that nobody disturbed."""
    job_id = engine.train()
    job = engine.wait_status(job_id, "succeeded", "failed")
    assert job.status == "succeeded", job.error
    return job_id


class TestTraining:
    def test_a_job_becomes_a_model_whose_bytes_are_what_their_hashes_say(
        self, engine: Engine, uninterrupted: str
    ) -> None:
        """R-TRAIN-5, R-TRAIN-7: logged steps are durable, the result is reachable and whole."""
        job = engine.job(uninterrupted)
        assert job.result is not None
        assert job.attempt == 1
        assert sorted(engine.losses(uninterrupted)) == list(range(1, 21))
        with engine.sessions() as session:
            rows = session.execute(
                sa.text(
                    "SELECT e.path, b.sha256, b.key FROM model_versions v JOIN manifest_entries e USING (manifest_id)"
                    " JOIN blobs b USING (sha256) WHERE v.id = :id"
                ),
                {"id": job.result["model_version_id"]},
            ).all()
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= {row.path for row in rows}
        for row in rows:
            body = engine.store.client.get_object(Bucket=engine.bucket.name, Key=row.key)["Body"].read()
            assert hashlib.sha256(body).hexdigest() == row.sha256, row.path

    def test_a_model_tells_how_large_it_is(self, engine: Engine, uninterrupted: str) -> None:
        """R-MODEL-1: the number of its weights, as its file holds them."""
        job = engine.job(uninterrupted)
        assert job.result is not None
        with engine.sessions() as session:
            version = session.get_one(ModelVersion, job.result["model_version_id"])
            files = {entry.path: entry.blob for entry in manifests.entries(session, version.manifest_id)}
        path = engine.folder / "sized.safetensors"
        engine.store.fetch(files["model.safetensors"], path)
        assert version.num_parameters == sum(safetensors.num_parameters(path).values())

    def test_events_are_numbered_without_a_gap(self, engine: Engine, uninterrupted: str) -> None:
        """R-JOB-1."""
        events = engine.events(uninterrupted)
        assert [seq for seq, _, _ in events] == list(range(1, len(events) + 1))
        kinds = [kind for _, kind, _ in events]
        assert kinds[:2] == ["queued", "running"]
        assert kinds[-1] == "succeeded"
        assert kinds.count("checkpoint") >= 2

    def test_a_killed_worker_costs_nothing_but_time(self, engine: Engine, uninterrupted: str) -> None:
        """R-TRAIN-6, R-TRAIN-7: kill -9 in mid-training; losses and weights equal the uninterrupted run's."""
        job_id = engine.train()
        engine.wait(lambda: engine.job(job_id).step_done >= 5, "a checkpoint is committed")
        worker = engine.processes[1]
        assert engine.job(job_id).status == "running"
        children = psutil.Process(worker.pid).children(recursive=True)
        assert children
        engine.kill_group(worker)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive, "the child must die with its worker"
        engine.processes[1] = engine.start_worker("train.cpu")
        engine.processes.pop()
        job = engine.wait_status(job_id, "succeeded", "failed")
        assert job.status == "succeeded", job.error
        assert job.attempt >= 2
        assert engine.losses(job_id) == engine.losses(uninterrupted)
        assert weights_hash(engine, job_id) == weights_hash(engine, uninterrupted)
        assert "resumed" in [kind for _, kind, _ in engine.events(job_id)]

    def test_a_worker_that_is_told_to_end_saves_and_hands_over(self, engine: Engine, uninterrupted: str) -> None:
        """Architecture 5, drain: SIGTERM puts the job back with a checkpoint and no failure; the run stays the same."""
        job_id = engine.train()
        engine.wait_step(job_id, 2)
        worker = engine.processes[1]
        worker.terminate()
        worker.wait(timeout=60)
        job = engine.job(job_id)
        assert job.status == "queued"
        assert job.failures_in_row == 0
        assert job.step_done >= 2
        engine.processes[1] = engine.start_worker("train.cpu")
        engine.processes.pop()
        assert engine.wait_status(job_id, "succeeded", "failed").status == "succeeded"
        assert engine.losses(job_id) == engine.losses(uninterrupted)
        assert weights_hash(engine, job_id) == weights_hash(engine, uninterrupted)

    def test_pause_stop_and_checkpoint_resume_to_the_same_weights(self, engine: Engine, uninterrupted: str) -> None:
        """R-TRAIN-6: paused, resumed, saved on request, stopped, resumed: the same run bit for bit."""
        job_id = engine.train()
        engine.wait_step(job_id, 2)
        ask(engine, job_id, DesiredState.PAUSE)
        paused = engine.wait_status(job_id, "paused")
        assert paused.checkpoint_id is not None
        assert 2 <= paused.step_done < 20
        ask(engine, job_id, DesiredState.RUN)
        engine.wait_status(job_id, "running")
        engine.wait_step(job_id, paused.step_done + 1)
        ask(engine, job_id, DesiredState.STOP)
        assert engine.wait_status(job_id, "stopped").step_done > paused.step_done
        ask(engine, job_id, DesiredState.RUN)
        job = engine.wait_status(job_id, "succeeded", "failed")
        assert job.status == "succeeded", job.error
        assert engine.losses(job_id) == engine.losses(uninterrupted)
        assert weights_hash(engine, job_id) == weights_hash(engine, uninterrupted)

    def test_a_checkpoint_is_saved_when_asked_for(self, engine: Engine) -> None:
        """R-TRAIN-6: checkpoint-now."""
        job_id = engine.train(save_steps=1000, max_steps=200)
        engine.wait_step(job_id, 2)
        with engine.sessions.begin() as session:
            control.request_checkpoint(session, engine.project_id, job_id)
        notify(engine.engine, NOTIFY_CONTROL, job_id)
        engine.wait(lambda: engine.job(job_id).step_done > 0, "the requested checkpoint is committed")
        reasons = [payload["reason"] for _, kind, payload in engine.events(job_id) if kind == "checkpoint"]
        assert reasons == ["requested"]
        ask(engine, job_id, DesiredState.CANCEL)
        engine.wait_status(job_id, "cancelled")

    def test_one_that_was_asked_for_stays_while_the_run_saves_on(self, engine: Engine) -> None:
        """R-MODEL-5, R-TRAIN-6: also where it was saved at that step anyway."""
        job_id = engine.train(save_steps=1, max_steps=60, checkpoints_kept=1)
        query = sa.text("SELECT step FROM checkpoints WHERE job_id = :id AND reason = 'requested'")

        def requested() -> list[int]:
            with engine.sessions() as session:
                return list(session.scalars(query, {"id": job_id}))

        engine.wait_step(job_id, 2)
        with engine.sessions.begin() as session:
            control.request_checkpoint(session, engine.project_id, job_id)
        notify(engine.engine, NOTIFY_CONTROL, job_id)
        engine.wait(lambda: requested() != [], "the requested checkpoint is kept as one")
        steps = requested()
        assert engine.wait_status(job_id, "succeeded", "failed").status == "succeeded"
        assert requested() == steps
        assert max(steps) < 59, "others were saved after it, and one of them is left"

    def test_a_cancelled_job_leaves_no_artifacts(self, engine: Engine) -> None:
        """R-TRAIN-7: cancel kills, and nothing of the job can be used."""
        job_id = engine.train(max_steps=1000, save_steps=2)
        engine.wait(lambda: engine.job(job_id).step_done > 0, "a checkpoint is committed")
        ask(engine, job_id, DesiredState.CANCEL)
        job = engine.wait_status(job_id, "cancelled")
        assert job.checkpoint_id is None
        with engine.sessions() as session:
            for table in ("checkpoints", "model_versions"):
                assert session.scalar(sa.text(f"SELECT count(*) FROM {table} WHERE job_id = :id"), {"id": job_id}) == 0

    def test_a_child_computes_without_credentials_and_with_sleeping_threads(self, engine: Engine) -> None:
        """Architecture 5 and 8: OMP_WAIT_POLICY and GOMP_SPINCOUNT in the live child; no secret in its environment."""
        job_id = engine.train(max_steps=1000)
        engine.wait_step(job_id, 1)
        (child,) = psutil.Process(engine.processes[1].pid).children()
        environment = child.environ()
        ask(engine, job_id, DesiredState.CANCEL)
        assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
        assert environment["GOMP_SPINCOUNT"] == "0"
        assert not [name for name in environment if "URL" in name or "SECRET" in name or "KEY" in name]
        assert os.getsid(child.pid) == child.pid
        engine.wait_status(job_id, "cancelled")

    def test_a_job_that_explains_itself_fails_at_once_with_what_to_do(self, engine: Engine) -> None:
        """R-TRAIN-11: a model that is no preset is told by the child in a sentence, and not tried again."""
        job_id = engine.train(model="no-such-model", vocab_size=None)
        job = engine.wait_status(job_id, "failed")
        assert job.attempt == 1
        assert job.error is not None
        assert "no-such-model" in job.error["message"]
        assert "simorgh-2m" in job.error["message"]

    def test_a_lost_checkpoint_is_given_up_for_the_one_before(self, engine: Engine, uninterrupted: str) -> None:
        """Architecture 5: a wrong hash rejects, an older checkpoint is used, and the weights are the same."""
        job_id = engine.train()
        engine.wait(lambda: engine.job(job_id).step_done >= 5, "a checkpoint is committed")
        ask(engine, job_id, DesiredState.PAUSE)  # saves the second one
        engine.wait_status(job_id, "paused")
        newest, older = checkpoints(engine, job_id)[:2]
        damage(engine, newest.id)
        ask(engine, job_id, DesiredState.RUN)
        job = engine.wait_status(job_id, "succeeded", "failed")
        assert job.status == "succeeded", job.error
        lost = [payload for _, kind, payload in engine.events(job_id) if kind == "checkpoint_lost"]
        assert [(told["checkpoint_id"], told["next_checkpoint_id"]) for told in lost] == [(newest.id, older.id)]
        resumed = [payload["from_step"] for _, kind, payload in engine.events(job_id) if kind == "resumed"]
        assert resumed[-1] == older.step
        assert engine.losses(job_id) == engine.losses(uninterrupted)
        assert weights_hash(engine, job_id) == weights_hash(engine, uninterrupted)

    def test_a_lost_dataset_is_told_and_not_tried_again(self, engine: Engine) -> None:
        """Architecture 5: `artifact_lost`, never a silent success. The same bytes, stored again, mend it."""
        path = engine.folder / "lost.jsonl"
        path.write_text('{"question": "الف", "answer": "ب"}\n' * 9, encoding="utf-8")
        version_id = engine.add_dataset(path, "lost")
        blob = engine.store.put(engine.sessions, path)
        engine.store.delete(blob.key)
        spec = {"dataset_version_id": version_id, "max_steps": 1, "eval_fraction": 0}
        job = engine.wait_status(engine.train(**spec), "failed")
        assert (job.attempt, job.error["code"]) == (1, "artifact_lost")
        engine.store.put(engine.sessions, path)
        assert engine.wait_status(engine.train(**spec), "succeeded", "failed").status == "succeeded"

    def test_a_child_that_says_nothing_is_stalled_and_tried_again(self, engine: Engine) -> None:
        """Architecture 5: frozen, not dead; the attempt ends at its liveness deadline."""
        job_id = engine.train(max_steps=2000, save_steps=2)
        engine.wait(lambda: engine.job(job_id).step_done > 0, "a checkpoint is committed")
        (child,) = psutil.Process(engine.processes[1].pid).children()
        child.suspend()
        engine.wait(lambda: engine.job(job_id).attempt == 2, "another attempt begins", within_s=60)
        assert not child.is_running()
        again = [payload for _, kind, payload in engine.events(job_id) if kind == "queued" and payload.get("reason")]
        assert [told["reason"] for told in again] == ["stalled"]
        ask(engine, job_id, DesiredState.CANCEL)
        engine.wait_status(job_id, "cancelled")


@dataclass(frozen=True)
class Saved:
    id: str
    step: int


def checkpoints(engine: Engine, job_id: str) -> list[Saved]:
    """The job's checkpoints, newest first."""
    with engine.sessions() as session:
        found = sa.text("SELECT id, step FROM checkpoints WHERE job_id = :id ORDER BY step DESC")
        return [Saved(row.id, row.step) for row in session.execute(found, {"id": job_id})]


def damage(engine: Engine, checkpoint_id: str) -> None:
    """Change a byte of the checkpoint's largest file in storage."""
    with engine.sessions() as session:
        manifest_id = session.scalar(
            sa.text("SELECT manifest_id FROM checkpoints WHERE id = :id"), {"id": checkpoint_id}
        )
        blob = max((entry.blob for entry in manifests.entries(session, manifest_id)), key=lambda blob: blob.bytes)
    body = bytearray(engine.store.client.get_object(Bucket=engine.bucket.name, Key=blob.key)["Body"].read())
    body[len(body) // 2] ^= 1
    engine.store.client.put_object(Bucket=engine.bucket.name, Key=blob.key, Body=bytes(body))


class TestParents:
    def test_a_parent_runs_again_when_its_children_have_ended(self, engine: Engine) -> None:
        """R-JOB-1, architecture 5: it holds no slot meanwhile, so one slot is enough for a whole family."""
        job_id = engine.submit(JobType.PROBE, Queue.IO, {"children": 3, "queue": "io", "sleep_ms": 20})
        job = engine.wait_status(job_id, "succeeded", "failed", within_s=30)
        assert job.status == "succeeded", job.error
        assert len(job.result["children"]) == 3
        kinds = [kind for _, kind, _ in engine.events(job_id)]
        assert kinds == ["queued", "running", "waiting", "queued", "running", "succeeded"]

    def test_a_parent_learns_that_a_child_failed(self, engine: Engine) -> None:
        job_id = engine.submit(JobType.PROBE, Queue.IO, {"children": 1, "queue": "io", "sleep_ms": -1})
        assert "sleep_ms is -1" in engine.wait_status(job_id, "failed", within_s=30).error["message"]


class TestDevices:
    def test_children_see_their_own_devices_alone(self, engine: Engine) -> None:
        """Architecture 5: one slot for each device, held with the claim and told to the child."""
        engine.more_environment["SIMORGH_DEVICES"] = "GPU-a,GPU-b"
        worker = engine.start_worker("train.gpu", slots=None)
        spec = TINY | {"dataset_version_id": engine.dataset(), "max_steps": 100_000, "device": "cpu"}
        jobs = [engine.submit(JobType.TRAIN, Queue.TRAIN_GPU, spec, num_gpus=1) for _ in range(2)]
        for job_id in jobs:
            engine.wait_step(job_id, 1)
        children = psutil.Process(worker.pid).children()
        assert sorted(child.environ()["CUDA_VISIBLE_DEVICES"] for child in children) == ["GPU-a", "GPU-b"]
        for job_id in jobs:
            ask(engine, job_id, DesiredState.CANCEL)
            engine.wait_status(job_id, "cancelled")
        del engine.more_environment["SIMORGH_DEVICES"]
        worker.terminate()
        worker.wait(30)
        engine.processes.remove(worker)


class TestLanes:
    def test_long_work_leaves_the_slot_for_short_work(self, engine: Engine) -> None:
        """Architecture 5."""
        worker = engine.start_worker("optimize.cpu", 2, "--short-slots", "1")
        long = [engine.submit(JobType.PROBE, Queue.OPTIMIZE_CPU, {"sleep_ms": 4000}, lane=Lane.LONG) for _ in range(2)]
        engine.wait_status(long[0], "running")
        short = engine.submit(JobType.PROBE, Queue.OPTIMIZE_CPU, {}, lane=Lane.SHORT)
        engine.wait_status(short, "succeeded")
        assert {engine.job(job_id).status for job_id in long} == {"running", "queued"}
        for job_id in long:
            ask(engine, job_id, DesiredState.CANCEL)
        worker.terminate()
        worker.wait(30)
        engine.processes.remove(worker)


class TestHealth:
    def test_a_worker_answers_probes_and_prometheus(self, engine: Engine) -> None:
        """R-OPS-4, R-OPS-5: every service."""
        url = f"http://127.0.0.1:{PROBED_PORT}"
        assert httpx.get(f"{url}/livez").json()["ok"] is True
        ready = httpx.get(f"{url}/readyz", timeout=10)
        assert (ready.status_code, set(ready.json()["data"]["parts"].values())) == (200, {"ok"})
        assert "python_info" in httpx.get(f"{url}/metrics").text
        assert httpx.get(f"{url}/nothing").status_code == 404


class TestQueue:
    def test_twenty_short_jobs_on_one_slot_end_within_four_times_their_work(self, engine: Engine) -> None:
        """R-JOB-1: the waking pool and the claim loop leave no second between two jobs."""
        ids = [engine.submit(JobType.PROBE, Queue.IO, {"sleep_ms": 50}) for _ in range(20)]
        jobs = [engine.wait_status(job_id, "succeeded", within_s=30) for job_id in ids]
        assert all(job.result["slept_ms"] >= 50 for job in jobs)
        took = max(job.finished_at for job in jobs) - min(job.queued_at for job in jobs)
        assert took.total_seconds() < 4 * 20 * 0.050

    def test_rings_alone_wake_a_worker_between_polls(self, engine: Engine) -> None:
        """The doorbell: a job starts well within the poll's second, most of the time."""
        waits = []
        for _ in range(5):
            job_id = engine.submit(JobType.PROBE, Queue.IO, {})
            job = engine.wait_status(job_id, "succeeded", within_s=30)
            waits.append((job.started_at - job.queued_at).total_seconds())
        assert sorted(waits)[2] < 0.5, waits
