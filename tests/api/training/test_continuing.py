"""A run that starts from a checkpoint, over HTTP: its model, and what is refused before anything is queued."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.db.models import Checkpoint, Manifest
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from tests.support.gateway import Account
from tests.support.stack import Database


@dataclass(frozen=True)
class Saved:
    """A checkpoint at step 100 of somebody's run."""

    client: httpx.Client
    checkpoint_id: str

    def start(self, **body: Any) -> httpx.Response:
        """Ask for a run from it."""
        return self.client.post("/api/train/start", json={"initCheckpoint": self.checkpoint_id, **body})

    def refusal(self, **body: Any) -> str:
        """The sentence of a request that has to be refused."""
        answer = self.start(**body)
        assert answer.status_code == 400, answer.text
        return str(answer.json()["error"])


@pytest.fixture(scope="module")
def saved(database: Database, sign_up: Callable[[], Account]) -> Iterator[Saved]:
    engine = make_engine(database.url)
    account = sign_up()
    with make_sessions(engine).begin() as session:
        spec = {"model": "simorgh-4m", "method": "pretrain"}
        job_id = enqueue(session, NewJob(account.project_id, JobType.TRAIN, Queue.TRAIN_CPU, spec))
        manifest_id, checkpoint_id = new_id("man"), new_id("ckpt")
        session.add(Manifest(id=manifest_id, kind="checkpoint", bytes=0))
        session.flush()
        session.add(
            Checkpoint(id=checkpoint_id, job_id=job_id, attempt=1, step=100, reason="interval", manifest_id=manifest_id)
        )
    yield Saved(account.client, checkpoint_id)
    engine.dispose()


class TestContinuing:
    def test_without_a_model_it_is_the_checkpoints(self, saved: Saved) -> None:
        """R-TRAIN-8: it need not be named."""
        answer = saved.start(maxSteps=101)
        assert answer.status_code == 200, answer.text
        job = saved.client.get(f"/api/jobs/{answer.json()['data']['runId']}").json()["data"]
        assert job["spec"]["model"] == "simorgh-4m"
        assert saved.start(modelName="simorgh-4m", maxSteps=102).status_code == 200

    def test_another_model_is_refused_at_once(self, saved: Saved) -> None:
        """R-TRAIN-8: also the one that is the default where there is no checkpoint."""
        said = saved.refusal(modelName="simorgh-2m", maxSteps=200)
        assert said == (
            "The checkpoint is of simorgh-4m, the run asks for simorgh-2m."
            " Name the checkpoint's model, or leave it out."
        )

    @pytest.mark.parametrize("steps", [1, 100])
    def test_a_run_that_would_end_where_it_begins_is_refused(self, saved: Saved, steps: int) -> None:
        """R-TRAIN-8: it would register the old weights as the newest model."""
        assert saved.refusal(maxSteps=steps).startswith("Nothing is left to train: the checkpoint stands at step 100")

    def test_a_method_that_the_checkpoints_model_does_not_take_is_refused(self, saved: Saved) -> None:
        """R-TRAIN-2."""
        assert "simorgh-4m is a preset that begins from nothing" in saved.refusal(method="sft", maxSteps=200)

    def test_anothers_checkpoint_is_none(self, saved: Saved, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        answer = Saved(sign_up().client, saved.checkpoint_id).start(maxSteps=200)
        assert answer.status_code == 404
        assert answer.json()["code"] == "checkpoint_not_found"
