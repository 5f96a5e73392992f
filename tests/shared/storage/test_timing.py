"""R-OPS-5: how the storage answers, by operation."""

import pytest
from prometheus_client import REGISTRY

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.incoming import IncomingStore
from simorgh_shared.storage.s3 import make_client
from tests.support.ports import free_port
from tests.support.stack import Bucket


def settings(bucket: Bucket) -> StorageSettings:
    return StorageSettings.model_validate(
        {name.removeprefix("SIMORGH_").lower(): value for name, value in bucket.environment().items()}
    )


def count(operation: str) -> float:
    return REGISTRY.get_sample_value("simorgh_storage_seconds_count", {"operation": operation}) or 0.0


def failures(operation: str, reason: str) -> float | None:
    labels = {"operation": operation, "reason": reason}
    return REGISTRY.get_sample_value("simorgh_storage_failures_total", labels)


class TestWatch:
    def test_each_request_is_counted_by_its_operation(self, bucket: Bucket) -> None:
        before = count("HeadBucket")
        BlobStore(make_client(settings(bucket)), bucket.name).check()
        assert count("HeadBucket") == before + 1
        assert failures("HeadBucket", "failed") is not None, "it begins at zero, not with the first failure"

    def test_what_is_not_there_is_refused_and_no_failure_of_the_storage(self, bucket: Bucket) -> None:
        client = make_client(settings(bucket))
        before = failures("HeadObject", "refused") or 0.0
        assert IncomingStore(client, client, bucket.name).size("incoming/none") is None
        assert failures("HeadObject", "refused") == before + 1
        assert failures("HeadObject", "failed") == 0

    def test_a_storage_that_is_away_is_silent(self, bucket: Bucket) -> None:
        client = make_client(settings(bucket), f"http://127.0.0.1:{free_port()}")
        before = failures("HeadBucket", "silent") or 0.0
        with pytest.raises(UnavailableError):
            BlobStore(client, bucket.name).check()
        assert failures("HeadBucket", "silent") == before + 1

    def test_signing_an_address_asks_nobody(self, bucket: Bucket) -> None:
        client = make_client(settings(bucket))
        before = count("UploadPart")
        assert IncomingStore(client, client, bucket.name).signed("incoming/x", "1", {1: 5}, 60)
        assert count("UploadPart") == before
