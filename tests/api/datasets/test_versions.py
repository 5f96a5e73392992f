"""Versions by content (R-DATA-7), alone and when several come at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from tests.api.datasets.uploading import OTHER_ROW, ROW, ok, refused, row, upload
from tests.support.gateway import Account
from tests.support.stack import Bucket

NUM_AT_ONCE = 6


@pytest.fixture
def client(sign_up: Callable[[], Account]) -> httpx.Client:
    """A project without any dataset."""
    return sign_up().client


@pytest.fixture(scope="module")
def num_objects(bucket: Bucket) -> Callable[[], int]:
    """How many objects lie in the bucket."""
    s3 = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint_url,
        aws_access_key_id=bucket.access_key_id,
        aws_secret_access_key=bucket.secret_access_key,
        region_name=bucket.region,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    return lambda: int(s3.list_objects_v2(Bucket=bucket.name)["KeyCount"])


def listed(client: httpx.Client) -> list[dict[str, Any]]:
    return client.get("/api/datasets/list").json()["data"]


def versions(client: httpx.Client, dataset_id: str) -> list[dict[str, Any]]:
    return client.get(f"/api/datasets/{dataset_id}/versions").json()["data"]


def at_once(act: Callable[[int], httpx.Response]) -> list[dict[str, Any]]:
    """What several threads are answered."""
    with ThreadPoolExecutor(NUM_AT_ONCE) as pool:
        return [ok(answer) for answer in pool.map(act, range(NUM_AT_ONCE))]


class TestWithoutDatasetId:
    def test_the_same_content_under_the_same_name_is_the_dataset_that_is_there(self, client: httpx.Client) -> None:
        """R-DATA-7."""
        first, again = (ok(upload(client)) for _ in range(2))
        assert (first["created"], again["created"]) == (True, False)
        assert (first["id"], first["version_id"]) == (again["id"], again["version_id"])
        assert len(listed(client)) == 1

    def test_other_content_or_another_name_makes_another_dataset(self, client: httpx.Client) -> None:
        """R-DATA-4, R-DATA-7."""
        made = [ok(upload(client)), ok(upload(client, {"file": ("a.jsonl", OTHER_ROW)})), ok(upload(client, name="b"))]
        assert all(data["created"] for data in made)
        assert len({data["id"] for data in made}) == 3

    def test_the_same_bytes_are_stored_once(
        self, client: httpx.Client, sign_up: Callable[[], Account], num_objects: Callable[[], int]
    ) -> None:
        """R-DATA-7: under whatever name, format and project."""
        before = num_objects()
        body = row("stored once")
        ok(upload(client, {"dataset": ("a.jsonl", body), "test": ("b.jsonl", body)}))
        ok(upload(client, {"dataset": ("c.jsonl", body)}))
        ok(upload(sign_up().client, {"dataset": ("d.jsonl", body)}))
        assert num_objects() == before + 1

    def test_what_is_refused_is_not_stored(self, client: httpx.Client, num_objects: Callable[[], int]) -> None:
        """R-DATA-1: nothing is kept, whatever it is refused for."""
        before = num_objects()
        body = row("never stored")
        refused(upload(client, {"dataset": ("a.jsonl", body + b"{oops\n")}))
        refused(upload(client, {"dataset": ("a.jsonl", body), "test": ("b.jsonl", b"{oops\n")}))
        refused(upload(client, {"dataset": ("ن" * 250 + ".jsonl", body)}))
        refused(upload(client, {"dataset": ("a.jsonl", body)}, dataset_id="ds_none"), 404)
        assert num_objects() == before
        assert listed(client) == []

    def test_identical_uploads_at_once_make_one_dataset(
        self, client: httpx.Client, num_objects: Callable[[], int]
    ) -> None:
        """R-DATA-7."""
        before = num_objects()
        body = row("at once")
        made = at_once(lambda _: upload(client, {"dataset": ("a.jsonl", body)}))
        assert sorted(data["created"] for data in made) == [False] * (NUM_AT_ONCE - 1) + [True]
        assert len({data["version_id"] for data in made}) == 1
        assert len(listed(client)) == 1
        assert num_objects() == before + 1


class TestWithDatasetId:
    def test_another_content_is_the_next_version(self, client: httpx.Client) -> None:
        """R-DATA-7: the dataset keeps its name, and its first version its content."""
        first = ok(upload(client))
        second = ok(upload(client, {"file": ("other.jsonl", OTHER_ROW)}, dataset_id=first["id"]))
        assert (second["id"], second["version"], second["created"]) == (first["id"], 2, True)
        assert second["name"] == "a.jsonl"
        assert [version["version"] for version in versions(client, first["id"])] == [2, 1]
        path = f"/api/datasets/{first['id']}"
        for version, body in ((None, OTHER_ROW), (1, ROW), (2, OTHER_ROW)):
            query = {} if version is None else {"version": version}
            assert ok(client.get(path, params=query))["version"] == version or version is None
            assert client.get(f"{path}/download", params=query).content == body
            told = ok(client.get(f"/api/datasets/preview/{first['id']}", params=query))
            assert (told["version"], len(told["samples"])) == (version or 2, 1)
        assert ok(client.get(path, params={"version": 1}))["sha256"] == first["sha256"]
        assert listed(client)[0]["version"] == 2

    def test_a_name_renames_the_dataset(self, client: httpx.Client) -> None:
        """R-DATA-7."""
        first = ok(upload(client))
        ok(upload(client, dataset_id=first["id"], name="نام تازه"))
        assert listed(client)[0]["name"] == "نام تازه"

    def test_the_content_of_a_version_is_that_version(self, client: httpx.Client) -> None:
        """R-DATA-7: also of one that is not the newest."""
        first = ok(upload(client))
        ok(upload(client, {"file": ("b.jsonl", OTHER_ROW)}, dataset_id=first["id"]))
        again = ok(upload(client, dataset_id=first["id"]))
        assert (again["version"], again["created"]) == (1, False)
        assert len(versions(client, first["id"])) == 2

    def test_versions_at_once_are_counted_on(self, client: httpx.Client) -> None:
        """R-DATA-7."""
        dataset_id = ok(upload(client))["id"]
        made = at_once(lambda n: upload(client, {"file": ("b.jsonl", row(f"{n}"))}, dataset_id=dataset_id))
        assert sorted(data["version"] for data in made) == list(range(2, NUM_AT_ONCE + 2))

    def test_identical_versions_at_once_are_one(self, client: httpx.Client) -> None:
        """R-DATA-7."""
        dataset_id = ok(upload(client))["id"]
        made = at_once(lambda _: upload(client, {"file": ("b.jsonl", OTHER_ROW)}, dataset_id=dataset_id))
        assert {data["version"] for data in made} == {2}
        assert sum(data["created"] for data in made) == 1

    def test_a_dataset_that_there_is_not_is_told(self, client: httpx.Client, sign_up: Callable[[], Account]) -> None:
        """R-DATA-7, R-AUTH-4: another project's is none."""
        other = ok(upload(sign_up().client))["id"]
        assert f"There is no dataset {other}" in refused(upload(client, dataset_id=other), 404)

    def test_versions_are_paged(self, client: httpx.Client) -> None:
        """R-API-3."""
        dataset_id = ok(upload(client))["id"]
        for number in range(4):
            ok(upload(client, {"file": ("b.jsonl", row(f"{number}"))}, dataset_id=dataset_id))
        seen: list[int] = []
        cursor: str | None = None
        while cursor is not None or not seen:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = client.get(f"/api/datasets/{dataset_id}/versions", params=query).json()
            seen += [version["version"] for version in page["data"]]
            cursor = page["next_cursor"]
        assert seen == [5, 4, 3, 2, 1]

    def test_a_version_that_there_is_not_is_told(self, client: httpx.Client) -> None:
        """R-DATA-7."""
        dataset_id = ok(upload(client))["id"]
        for path in (f"/api/datasets/{dataset_id}", f"/api/datasets/preview/{dataset_id}"):
            assert "has no version 2" in refused(client.get(path, params={"version": 2}), 404)
