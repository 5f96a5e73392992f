"""Uploads that go to storage while they come: kept when they are good, and without a trace when they are not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe

import pytest

from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.growing import PART_BYTES
from tests.api.datasets.conftest import RoomyGateway
from tests.api.datasets.test_reading import store as store
from tests.api.datasets.uploading import begun, form, ok, part, refused, row, send, upload, wait_until

LINE_BYTES = 1_000


def lines_of(first: str, num_bytes: int) -> bytes:
    """Rows that no other test sends, and that stay at least so long when they are packed."""
    lines = [row(first, token_urlsafe(LINE_BYTES)) for _ in range(num_bytes // LINE_BYTES + 1)]
    return b"".join(lines)


@pytest.fixture
def unjoined(store: BlobStore) -> Callable[[], list[tuple[str, str]]]:
    """A function that tells of parts that lie in storage and are no object."""
    return lambda: list(store.unjoined_parts(datetime.now(UTC) + timedelta(hours=1)))


@pytest.fixture
def objects(store: BlobStore) -> Callable[[], set[str]]:
    """A function that tells the keys of the blobs."""

    def keys() -> set[str]:
        answer = store.client.list_objects_v2(Bucket=store.bucket, Prefix="blobs/")
        return {found["Key"] for found in answer.get("Contents", [])}

    return keys


def test_parts_lie_in_storage_before_the_file_has_ended(
    roomy: RoomyGateway, unjoined: Callable[[], list[tuple[str, str]]], objects: Callable[[], set[str]]
) -> None:
    """performance.md, Ingest: what is good has hardly anything left to wait for; what was sent is what is kept."""
    content = lines_of("early", 5 * PART_BYTES)
    body = form(part("dataset", content, "early.jsonl"))
    before = objects()
    with begun(roomy.client, len(body)) as conversation:
        conversation.send(body[: 4 * PART_BYTES])
        wait_until(unjoined, "parts are there")
        assert objects() == before
        conversation.send(body[4 * PART_BYTES :])
        data = ok(conversation.answer())
    assert (data["rows"], data["bytes"]) == (content.count(b"\n"), len(content))
    assert roomy.client.get(f"/api/datasets/{data['id']}/download").content == content
    assert (unjoined(), len(objects() - before)) == ([], 1)


def test_a_client_that_leaves_leaves_no_parts(
    roomy: RoomyGateway, unjoined: Callable[[], list[tuple[str, str]]], objects: Callable[[], set[str]]
) -> None:
    """R-DATA-1: nothing is kept of an upload cut off."""
    before = objects()
    body = form(part("dataset", lines_of("leaver", 2 * PART_BYTES), "leaver.jsonl"))
    with begun(roomy.client, len(body)) as conversation:
        conversation.send(body[:-LINE_BYTES])
        wait_until(unjoined, "parts are there")
    wait_until(lambda: not unjoined(), "they are dropped")
    assert objects() == before


def test_a_bad_row_at_the_end_leaves_no_parts(
    roomy: RoomyGateway, unjoined: Callable[[], list[tuple[str, str]]], objects: Callable[[], set[str]]
) -> None:
    """R-DATA-1, R-DATA-3: refused whole, with the line."""
    before = objects()
    content = lines_of("bad", 2 * PART_BYTES)
    answer = upload(roomy.client, {"dataset": ("bad.jsonl", content + b'{"question": 1}\n')})
    refused(answer)
    assert f"Line {content.count(chr(10).encode()) + 1}: " in answer.json()["errors"][0]
    assert (unjoined(), objects()) == ([], before)


def test_rows_left_out_keep_the_others_alone(
    roomy: RoomyGateway, unjoined: Callable[[], list[tuple[str, str]]], objects: Callable[[], set[str]]
) -> None:
    """R-DATA-3: what was sent is not what is kept; the option may come after the file."""
    before = objects()
    content = lines_of("skip", 2 * PART_BYTES)
    body = form(part("dataset", content + b"{oops\n", "skip.jsonl"), part("on_error", b"skip"))
    data = ok(send(roomy.client, body))
    assert (data["rows"], data["error_count"]) == (content.count(b"\n"), 1)
    downloaded = roomy.client.get(f"/api/datasets/{data['id']}/download").content
    assert (downloaded.count(b"\n"), b"{oops" in downloaded) == (data["rows"], False)
    assert (unjoined(), len(objects() - before)) == ([], 1)


def test_the_same_bytes_again_are_stored_once(
    roomy: RoomyGateway, unjoined: Callable[[], list[tuple[str, str]]], objects: Callable[[], set[str]]
) -> None:
    """R-DATA-7."""
    content = lines_of("twice", 2 * PART_BYTES)
    first = ok(upload(roomy.client, {"dataset": ("twice.jsonl", content)}))
    before = objects()
    again = ok(upload(roomy.client, {"dataset": ("twice.jsonl", content)}))
    assert (again["id"], again["created"]) == (first["id"], False)
    assert (unjoined(), objects()) == ([], before)


def test_both_splits_go_their_own_way(roomy: RoomyGateway, unjoined: Callable[[], list[tuple[str, str]]]) -> None:
    """R-DATA-2."""
    files = {
        "dataset": ("a.jsonl", lines_of("train", PART_BYTES)),
        "test": ("b.jsonl", lines_of("test", 2 * PART_BYTES)),
    }
    data = ok(upload(roomy.client, files))
    for split, (_, content) in zip(("train", "test"), files.values(), strict=True):
        answer = roomy.client.get(f"/api/datasets/{data['id']}/download", params={"split": split})
        assert answer.content == content
    assert unjoined() == []
