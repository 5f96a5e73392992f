"""Feathers over HTTP: what a person reads."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.engine import Engine, running_engine
from tests.support.gateway import Account, Gateway
from tests.support.stack import Bucket, Database


@pytest.fixture
def worked(database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path) as made:
        made.start_dispatcher()
        made.start_worker("io")
        yield made


def test_a_feather_is_kept_counted_and_listed(gateway: Gateway, sign_up: Callable[[], Account], worked: Engine) -> None:
    """R-API-1, R-OPS-5."""
    client = sign_up().client
    answer = client.post("/api/feathers", json={"colour": "gold"})
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    assert client.get("/api/feathers").json()["data"] == [made]
    assert sign_up().client.get("/api/feathers").json()["data"] == []
    assert worked.wait_status(made["job_id"], "succeeded", "failed").result == {"barbs": 4}
    assert "simorgh_feathers_total 1.0" in httpx.get(f"{gateway.url}/metrics").text


def test_another_colour_is_refused_with_what_there_is(sign_up: Callable[[], Account]) -> None:
    """R-API-2."""
    answer = sign_up().client.post("/api/feathers", json={"colour": "grey"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "No simorgh has grey feathers. Name one of gold, red."
