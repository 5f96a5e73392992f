"""Files that come in parts, against a real server."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.incoming import MIN_PART_BYTES, IncomingFile, IncomingStore, compare_parts, part_sizes
from simorgh_shared.storage.s3 import make_client
from tests.support.stack import Bucket

KEY = "incoming/rows"


@pytest.fixture
def store(bucket: Bucket) -> Iterator[IncomingStore]:
    settings = StorageSettings.model_validate(
        {name.removeprefix("SIMORGH_").lower(): value for name, value in bucket.environment().items()}
    )
    client = make_client(settings)
    yield IncomingStore(client, client, bucket.name)
    client.close()


def send(store: IncomingStore, storage_id: str, number: int, data: bytes) -> None:
    url = store.signed(KEY, storage_id, {number: len(data)}, 60)[number]
    with urllib.request.urlopen(urllib.request.Request(url, data, method="PUT")) as answer:
        assert answer.status == 200


class TestParts:
    def test_a_part_that_came_twice_is_one_part(self, store: IncomingStore, tmp_path: Path) -> None:
        """R-DATA-8: what a killed client had under way comes beside what the next one sends."""
        first, last = b"1" * MIN_PART_BYTES, b"2" * 100
        storage_id = store.begin(KEY)
        for number, data in ((1, first), (2, last), (1, first), (2, last)):
            send(store, storage_id, number, data)
        parts = store.parts(KEY, storage_id)
        assert parts is not None
        assert [(part.number, part.bytes) for part in parts] == [(1, MIN_PART_BYTES), (2, 100)]
        good, missing = compare_parts(parts, part_sizes(MIN_PART_BYTES + 100, MIN_PART_BYTES))
        assert (good, missing) == (parts, [])
        store.complete(KEY, storage_id, good)
        store.fetch(IncomingFile("rows", KEY, MIN_PART_BYTES + 100), tmp_path / "rows")
        assert (tmp_path / "rows").read_bytes() == first + last
        assert store.parts(KEY, storage_id) is None
