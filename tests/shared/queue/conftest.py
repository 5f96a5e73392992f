"""An engine without processes for each test: its SQL is called directly."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    """A database with a project, and nobody who works on it."""
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made
