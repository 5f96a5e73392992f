"""The sample dataset in a project (R-DATA-10)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from simorgh_api.usecases import datasets
from simorgh_shared.datasets import sample
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.s3 import make_client
from tests.api.datasets.conftest import RoomyGateway
from tests.api.datasets.uploading import ok, upload
from tests.support.gateway import Account
from tests.support.stack import Bucket, Database


@pytest.fixture
def account(sign_up: Callable[[], Account]) -> Account:
    return sign_up()


def named(client: httpx.Client) -> list[dict]:
    found = client.get("/api/datasets/list").json()["data"]
    return [dataset for dataset in found if dataset["name"] == datasets.SAMPLE_NAME]


def test_an_upload_with_the_samples_name_is_not_the_sample(account: Account) -> None:
    """R-DATA-10: a run without a dataset trains on the sample, whatever else has its name."""
    mine = ok(upload(account.client, name=datasets.SAMPLE_NAME))["id"]
    assert account.client.post("/api/train/start", json={}).status_code == 200
    made = [dataset for dataset in named(account.client) if dataset["id"] != mine]
    assert [split["split"] for split in made[0]["splits"]] == ["train", "test"]
    assert made[0]["rows"] > 1000


def test_an_upload_of_the_samples_bytes_is_the_sample(roomy: RoomyGateway, tmp_path: Path) -> None:
    """R-DATA-10, R-DATA-7."""
    made = sample.write_sample(tmp_path)
    with made.train_path.open("rb") as train, made.test_path.open("rb") as test:
        files = {"dataset": ("train.jsonl", train), "test": ("test.jsonl", test)}
        data = ok(upload(roomy.client, files, name=datasets.SAMPLE_NAME))
    assert roomy.client.post("/api/train/start", json={}).status_code == 200
    assert [dataset["id"] for dataset in named(roomy.client)] == [data["id"]]
    assert [split["sha256"] for split in data["splits"]] == [sample.TRAIN_SHA256, sample.TEST_SHA256]


def test_first_uses_at_once_make_one_dataset(account: Account) -> None:
    """R-DATA-10."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: account.client.post("/api/train/start", json={}), range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(named(account.client)) == 1


def test_no_session_is_held_while_it_is_written_to_storage(
    account: Account, database: Database, bucket: Bucket
) -> None:
    """Architecture 6: with one connection in all, a held one would stop the storage's own sessions."""
    settings = {key.removeprefix("SIMORGH_").lower(): value for key, value in bucket.environment().items()}
    client = make_client(StorageSettings.model_validate(settings))
    engine = make_engine(database.url, pool_size=1)
    engine.pool._max_overflow = 0
    try:
        sessions = make_sessions(engine)
        made = datasets.ensure_sample_dataset(sessions, BlobStore(client, bucket.name), account.project_id)
        again = datasets.ensure_sample_dataset(sessions, BlobStore(client, bucket.name), account.project_id)
        assert made == again
    finally:
        engine.dispose()
        client.close()
