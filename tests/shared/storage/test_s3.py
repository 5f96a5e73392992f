"""The S3 client against a real server: what its requests carry."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.blobs import TRANSFER
from simorgh_shared.storage.s3 import make_client
from tests.support.stack import Bucket

UNSIGNED = "UNSIGNED-PAYLOAD"


@pytest.fixture
def settings(bucket: Bucket) -> StorageSettings:
    return StorageSettings.model_validate(
        {name.removeprefix("SIMORGH_").lower(): value for name, value in bucket.environment().items()}
    )


@pytest.fixture
def seen(settings: StorageSettings) -> Iterator[Callable[[str | None], tuple[Any, list[dict[str, str]]]]]:
    """A function that makes a client of an address, and a list of the headers that it sends."""
    clients = []

    def make(address: str | None = None) -> tuple[Any, list[dict[str, str]]]:
        client = make_client(settings, address)
        clients.append(client)
        headers: list[dict[str, str]] = []

        def note(request: Any, **_: object) -> None:
            headers.append({name.lower(): _text(value) for name, value in request.headers.items()})

        client.meta.events.register("before-send.s3", note)
        return client, headers

    yield make
    for client in clients:
        client.close()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class TestMakeClient:
    def test_within_one_machine_bodies_have_a_type_and_no_signature(
        self, seen: Callable[..., tuple[Any, list[dict[str, str]]]], bucket: Bucket, tmp_path: Path
    ) -> None:
        """performance.md, Ingest: else the storage tries to compress, and both ends hash once more."""
        client, headers = seen()
        path = tmp_path / "parts.bin"
        path.write_bytes(b"x" * (TRANSFER.multipart_threshold + 1))
        client.upload_file(str(path), bucket.name, "parts", Config=TRANSFER)
        client.put_object(Bucket=bucket.name, Key="whole", Body=b"y")
        bodies = [one for one in headers if "content-length" in one and "content-type" in one]
        assert len(bodies) == 4
        assert {one["content-type"] for one in bodies} == {"application/vnd.simorgh.blob"}
        assert {one["x-amz-content-sha256"] for one in bodies} == {UNSIGNED}
        assert client.get_object(Bucket=bucket.name, Key="whole")["Body"].read() == b"y"

    @pytest.mark.parametrize(
        ("address", "is_signed"),
        [("http://storage.example:9000", True), ("https://storage.example", False), ("http://[::1]:9000", False)],
    )
    def test_over_a_plain_network_bodies_are_signed(
        self, seen: Callable[..., tuple[Any, list[dict[str, str]]]], address: str, is_signed: bool
    ) -> None:
        """Architecture 8: nobody on the way changes what is stored."""
        client, _ = seen(address)
        told: list[str] = []

        def refuse(request: Any, **_: object) -> None:
            told.append(_text(request.headers["X-Amz-Content-SHA256"]))
            raise ConnectionAbortedError

        client.meta.events.register_first("before-send.s3", refuse)
        with pytest.raises(ConnectionAbortedError):
            client.put_object(Bucket="any", Key="any", Body=b"z")
        assert (told[0] != UNSIGNED) == is_signed

    def test_an_address_signed_for_others_asks_for_no_type(
        self, seen: Callable[..., tuple[Any, list[dict[str, str]]]], bucket: Bucket
    ) -> None:
        """R-DATA-8: whoever sends a part needs no more than the address."""
        client, _ = seen()
        params = {"Bucket": bucket.name, "Key": "parts", "UploadId": "some", "PartNumber": 1}
        address = client.generate_presigned_url("upload_part", Params=params)
        assert "content-type" not in address.lower()
