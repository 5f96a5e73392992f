"""Feathers woven by a real worker's child."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simorgh_shared.domain.jobs import JobType, Queue
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database


@pytest.fixture
def engine(database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(database, redis_url, bucket, tmp_path) as made:
        made.start_dispatcher()
        made.start_worker("io")
        yield made


def test_a_feather_is_woven_and_a_grey_one_says_why_not(engine: Engine) -> None:
    """R-JOB-1."""
    woven = engine.submit(JobType.WEAVE, Queue.IO, {"colour": "gold", "rows": 3})
    grey = engine.submit(JobType.WEAVE, Queue.IO, {"colour": "grey", "rows": 3})
    result = engine.wait_status(woven, "succeeded", "failed").result
    assert result is not None
    assert result["files"] == {"feather.txt": 12}
    assert [kind for _, kind, _ in engine.events(woven)].count("metrics") == 3
    error = engine.wait_status(grey, "succeeded", "failed").error
    assert error is not None
    assert error["params"] == {"reason": "grey cannot be woven"}
