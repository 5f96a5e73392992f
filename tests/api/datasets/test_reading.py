"""Lists, previews, downloads and deletions of datasets (R-DATA-4), and who may do what."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import previews
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.blobs import BlobStore, StoredBlob
from simorgh_shared.storage.s3 import make_client
from tests.api.datasets.uploading import OTHER_ROW, ROW, ok, refused, row, upload
from tests.support.gateway import Account
from tests.support.stack import Bucket, Database


class CountingStore(BlobStore):
    """The real storage, which counts the bytes that are asked of it."""

    num_bytes = 0

    def read(self, blob: StoredBlob, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """As the real one."""
        for chunk in super().read(blob, start, length):
            self.num_bytes += len(chunk)
            yield chunk


@pytest.fixture(scope="module")
def store(bucket: Bucket) -> Iterator[CountingStore]:
    """The bucket that the gateway writes to."""
    settings = StorageSettings.model_validate(
        {key.removeprefix("SIMORGH_").lower(): value for key, value in bucket.environment().items()}
    )
    client = make_client(settings)
    yield CountingStore(client, bucket.name)
    client.close()


@pytest.fixture(scope="module")
def sessions(database: Database) -> Iterator[sessionmaker[Session]]:
    """Sessions on the gateway's database."""
    engine = make_engine(database.url)
    yield make_sessions(engine)
    engine.dispose()


class TestList:
    def test_the_newest_stands_first_and_pages_join(self, sign_up: Callable[[], Account]) -> None:
        """R-DATA-4, R-API-3."""
        client = sign_up().client
        made = [ok(upload(client, name=f"{number}"))["id"] for number in range(5)]
        seen: list[str] = []
        cursor: str | None = None
        while cursor is not None or not seen:
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = client.get("/api/datasets/list", params=query).json()
            seen += [dataset["id"] for dataset in page["data"]]
            cursor = page["next_cursor"]
        assert seen == made[::-1]

    @pytest.mark.parametrize("cursor", ["%00", "zzz", "bW9kZWxfMDFtODcyeXc4cm42NWExZTFqZDQ0Ynd4ZGQ"])
    def test_a_cursor_of_another_list_is_refused(self, client: httpx.Client, cursor: str) -> None:
        """R-API-3."""
        assert "The cursor is not one that this list gave" in refused(client.get(f"/api/datasets/list?cursor={cursor}"))


class TestPreview:
    def test_offsets_reach_every_row_of_the_total(self, client: httpx.Client) -> None:
        """R-DATA-4: the total counts both splits, so both can be read."""
        files = {"dataset": ("t.jsonl", ROW * 2), "test": ("e.jsonl", OTHER_ROW)}
        path = f"/api/datasets/preview/{ok(upload(client, files))['id']}"
        pages = [ok(client.get(path, params={"offset": offset, "limit": 2})) for offset in range(5)]
        first, second = json.loads(ROW), json.loads(OTHER_ROW)
        assert [page["samples"] for page in pages] == [[first, first], [first, second], [second], [], []]
        assert {page["total"] for page in pages} == {3}

    @pytest.mark.parametrize("offset", [3, 10**6, 10**30])
    def test_an_offset_beyond_the_end_is_empty(self, client: httpx.Client, offset: int) -> None:
        """R-DATA-4: with the true total."""
        dataset_id = ok(upload(client, {"dataset": ("a.jsonl", ROW * 3)}))["id"]
        page = ok(client.get(f"/api/datasets/preview/{dataset_id}?offset={offset}"))
        assert (page["samples"], page["total"]) == ([], 3)

    def test_blank_lines_are_no_rows(self, client: httpx.Client) -> None:
        """R-DATA-4."""
        body = b"\xef\xbb\xbf\r\n" + ROW + b"\n \n" + OTHER_ROW + b"\n\n"
        dataset_id = ok(upload(client, {"dataset": ("a.jsonl", body)}))["id"]
        page = ok(client.get(f"/api/datasets/preview/{dataset_id}?offset=1"))
        assert (page["samples"], page["total"]) == ([json.loads(OTHER_ROW)], 2)

    @pytest.mark.parametrize("odd", [b"1e999", b"9" * 5_000, b"[" * 400 + b"]" * 400])
    def test_fields_that_training_does_not_read_are_left_out(self, client: httpx.Client, odd: bytes) -> None:
        """R-DATA-4: whatever they hold, the answer is JSON."""
        body = b'{"question": "a", "answer": "b", "x": ' + odd + b"}\n"
        dataset_id = ok(upload(client, {"dataset": ("odd.jsonl", body)}))["id"]
        page = ok(client.get(f"/api/datasets/preview/{dataset_id}"))
        assert page["samples"] == [{"question": "a", "answer": "b"}]

    def test_no_more_is_read_than_the_rows_asked_for(
        self,
        client: httpx.Client,
        store: CountingStore,
        sessions: sessionmaker[Session],
        sign_up: Callable[[], Account],
    ) -> None:
        """R-DATA-4: nothing of a file that lies before the offset or after the last row."""
        account = sign_up()
        line = row("پرسش" * 20)
        files = {"dataset": ("t.jsonl", line * 400), "test": ("e.jsonl", OTHER_ROW * 3)}
        data = ok(upload(account.client, files))
        source = previews.find(sessions, account.project_id, data["id"], None)
        sizes = [split["bytes"] for split in data["splits"]]
        for limit, offset, read in ((10, 0, 65_536), (10, 400, sizes[1]), (10, 403, 0), (400, 0, sizes[0])):
            store.num_bytes = 0
            assert len(previews.preview(sessions, store, source, limit, offset).samples) == min(limit, 403 - offset)
            assert store.num_bytes == min(read, sizes[0] if offset < 400 else sizes[1])

    def test_bytes_that_storage_lost_are_told_and_come_back_with_the_file(
        self, client: httpx.Client, store: CountingStore, sessions: sessionmaker[Session]
    ) -> None:
        """R-DATA-4, reliability.md 30: never a silent 200."""
        body = row("lost")
        data = ok(upload(client, {"dataset": ("lost.jsonl", body)}))
        with sessions() as session:
            key = session.scalar(sa.text("SELECT key FROM blobs WHERE sha256 = :sha256"), {"sha256": data["sha256"]})
        store.delete(str(key))
        paths = [f"/api/datasets/preview/{data['id']}", f"/api/datasets/{data['id']}/download"]
        for path in paths:
            assert "missing or damaged in storage. Upload the same file again" in refused(client.get(path), 503)
        assert ok(upload(client, {"dataset": ("lost.jsonl", body)}))["created"] is False
        assert client.get(paths[1]).content == body


class TestDownload:
    def test_its_length_and_name_are_told(self, client: httpx.Client) -> None:
        """R-DATA-4: a transfer cut off is not taken for the whole."""
        data = ok(upload(client, {"dataset": ("گفتگو.jsonl", ROW)}))
        answer = client.get(f"/api/datasets/{data['id']}/download")
        assert answer.headers["content-length"] == str(len(ROW))
        name = "%DA%AF%D9%81%D8%AA%DA%AF%D9%88-train.jsonl"
        assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{name}"


class TestDelete:
    def test_it_is_gone_from_everywhere(self, client: httpx.Client) -> None:
        """R-DATA-4."""
        data = ok(upload(client, name="to be deleted"))
        assert ok(client.delete(f"/api/datasets/{data['id']}")) == {"id": data["id"], "deleted": True}
        for path in ("", "/versions", "/download"):
            assert "There is no dataset" in refused(client.get(f"/api/datasets/{data['id']}{path}"), 404)
        refused(client.get(f"/api/datasets/preview/{data['id']}"), 404)
        refused(client.delete(f"/api/datasets/{data['id']}"), 404)
        refused(upload(client, dataset_id=data["id"]), 404)
        assert data["id"] not in client.get("/api/datasets/list?limit=200").text

    def test_the_same_content_makes_a_new_one_then(self, client: httpx.Client) -> None:
        """R-DATA-7."""
        first = ok(upload(client, name="twice"))
        ok(client.delete(f"/api/datasets/{first['id']}"))
        again = ok(upload(client, name="twice"))
        assert again["created"] is True
        assert again["id"] != first["id"]


class TestRights:
    def test_another_projects_dataset_does_not_exist(
        self, client: httpx.Client, sign_up: Callable[[], Account]
    ) -> None:
        """R-AUTH-4: 404, not 403."""
        dataset_id = ok(upload(client))["id"]
        other = sign_up().client
        for path in (dataset_id, f"preview/{dataset_id}", f"{dataset_id}/download", f"{dataset_id}/versions"):
            assert "There is no dataset" in refused(other.get(f"/api/datasets/{path}"), 404)
        refused(other.delete(f"/api/datasets/{dataset_id}"), 404)

    def test_a_viewer_reads_and_neither_uploads_nor_deletes(self, sign_up: Callable[[], Account]) -> None:
        """R-AUTH-4."""
        owner, viewer = sign_up(), sign_up()
        member = {"email": viewer.email, "role": "viewer"}
        assert owner.client.put(f"/api/projects/{owner.project_id}/members", json=member).status_code == 200
        dataset_id = ok(upload(owner.client))["id"]
        viewer.client.headers["openai-project"] = owner.project_id
        assert ok(viewer.client.get(f"/api/datasets/{dataset_id}"))["rows"] == 1
        assert "This needs the right to write" in refused(upload(viewer.client), 403)
        refused(viewer.client.delete(f"/api/datasets/{dataset_id}"), 403)

    def test_nobody_uploads_without_signing_in(self, client: httpx.Client) -> None:
        """R-AUTH-3."""
        files = {"dataset": ("nobodys.jsonl", ROW)}
        refused(httpx.post(str(client.base_url.join("/api/datasets/upload")), files=files), 401)
        assert "nobodys" not in client.get("/api/datasets/list?limit=200").text


class TestNul:
    @pytest.mark.parametrize("path", ["/api/datasets/%00", "/api/datasets/preview/%00", "/api/models/%00"])
    def test_a_nul_character_is_the_senders_mistake(self, client: httpx.Client, path: str) -> None:
        """R-API-3: PostgreSQL takes none in a text."""
        assert "a text holds a NUL character" in refused(client.get(path))

    def test_also_in_a_form(self, client: httpx.Client) -> None:
        """R-API-3."""
        assert "a text holds a NUL character" in refused(upload(client, dataset_id="\0"))
