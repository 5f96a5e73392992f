"""A job on a GPU's queue, with real processes: claimed with its device, trained, killed and resumed, served."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.storage import manifests
from tests.support.engine import TINY, Engine, running_engine
from tests.support.gpu import needs_gpu
from tests.support.inference import InferenceServer, ask
from tests.support.stack import Bucket, Database

pytestmark = needs_gpu
_LONG = {"epochs": 10_000, "max_steps": 4_000, "logging_steps": 50, "save_steps": 400, "eval_steps": 4_000}


@pytest.fixture(scope="module")
def engine(
    database: Database, redis_url: str, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path_factory.mktemp("engine")) as made:
        made.start_dispatcher()
        made.start_worker("train.gpu", None)
        yield made


def train(engine: Engine, **changes: object) -> str:
    spec = TINY | {"dataset_version_id": engine.dataset(), **_LONG} | changes
    return engine.submit(JobType.TRAIN, Queue.TRAIN_GPU, spec, num_gpus=1)


def output(engine: Engine, job_id: str) -> list[manifests.Entry]:
    """The files of the model that a job made."""
    with engine.sessions() as session:
        manifest_id = session.scalar(
            sa.text("SELECT manifest_id FROM model_versions WHERE job_id = :id"), {"id": job_id}
        )
        assert manifest_id is not None
        return list(manifests.entries(session, manifest_id))


def weights_hash(engine: Engine, job_id: str) -> str:
    (found,) = (entry.blob.sha256 for entry in output(engine, job_id) if entry.path == "model.safetensors")
    return found


def test_it_is_trained_on_its_device_and_resumed_after_a_crash(
    engine: Engine, serve: Callable[..., InferenceServer], tmp_path: Path
) -> None:
    """R-TRAIN-6, R-TRAIN-7, R-CHAT-1: the resumed run has the bits of the other, and what it made is served there."""
    whole = train(engine)
    assert engine.wait_status(whole, "succeeded", "failed").error is None
    with engine.sessions() as session:
        listed = session.scalar(sa.text("SELECT devices FROM workers WHERE jsonb_array_length(devices) > 0"))
        held = session.scalar(sa.text("SELECT devices FROM attempts WHERE job_id = :id"), {"id": whole})
    assert held == [listed[0]["id"]]
    (started,) = (payload for _, kind, payload in engine.events(whole) if kind == "started")
    assert started["device"] == "cuda"

    killed = train(engine)
    engine.wait_step(killed, 800)
    engine.kill_group(engine.processes[-1])
    engine.start_worker("train.gpu", None)
    job = engine.wait_status(killed, "succeeded", "failed")
    assert job.error is None
    assert job.attempt == 2
    assert weights_hash(engine, killed) == weights_hash(engine, whole)

    manifests.materialise(engine.store, output(engine, killed), tmp_path / "trained")
    server = serve("--model-dir", str(tmp_path / "trained"), SIMORGH_ENGINE="auto")
    given = ask(server, model="trained")
    assert given.status_code == 200, given.text
    assert server.loaded()["trained"].items() >= {"engine": "transformers", "device": "cuda"}.items()
