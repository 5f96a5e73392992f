"""Files that are sent in parts while they grow, in a real S3 server: kept whole, or not at all."""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_api.dispatcher.collecting import collect_blobs, sweep_parts
from simorgh_shared.db.models import BlobDeletion
from simorgh_shared.gzipped import GzipWriter
from simorgh_shared.storage.blobs import StoredBlob
from simorgh_shared.storage.growing import GrowingBlob
from simorgh_shared.storage.incoming import MIN_PART_BYTES
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database

PART = MIN_PART_BYTES
SIZE = 2 * PART + 1000


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made


@pytest.fixture
def content() -> bytes:
    """Two whole parts and a short one, however packed; unlike any other test's."""
    return os.urandom(SIZE)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    """The gzip of the content."""
    return packed(tmp_path / "file.gz", content)


@pytest.fixture
def growing(engine: Engine, path: Path) -> GrowingBlob:
    return GrowingBlob(engine.store, path, PART)


def packed(path: Path, content: bytes) -> Path:
    writer = GzipWriter(path)
    writer.write(content)
    writer.close()
    return path


def commit(growing: GrowingBlob, engine: Engine, content: bytes) -> StoredBlob:
    return growing.commit(engine.sessions, hashlib.sha256(content).hexdigest(), len(content))


def kept(engine: Engine, blob: StoredBlob, tmp_path: Path) -> bytes:
    engine.store.fetch(blob, tmp_path / "copy")
    return (tmp_path / "copy").read_bytes()


def send_all(growing: GrowingBlob, path: Path) -> None:
    while number := growing.claim(path.stat().st_size, has_ended=True):
        growing.store(number)


def unjoined(engine: Engine) -> list[tuple[str, str]]:
    return list(engine.store.unjoined_parts(datetime.now(UTC) + timedelta(hours=1)))


def objects(engine: Engine) -> list[str]:
    answer = engine.store.client.list_objects_v2(Bucket=engine.bucket.name, Prefix="blobs/")
    return [found["Key"] for found in answer.get("Contents", [])]


def notes(engine: Engine) -> list[str]:
    with engine.sessions() as session:
        return list(session.scalars(sa.select(BlobDeletion.key)))


class TestClaim:
    def test_a_part_is_one_when_it_lies_whole_on_the_disk(self, growing: GrowingBlob) -> None:
        assert growing.claim(PART - 1) is None
        assert growing.claim(2 * PART - 1) == 1
        assert growing.claim(2 * PART - 1) is None
        assert growing.claim(2 * PART + 1) == 2

    def test_the_last_one_may_be_short(self, growing: GrowingBlob) -> None:
        assert [growing.claim(SIZE, has_ended=True) for _ in range(4)] == [1, 2, 3, None]

    def test_no_empty_part_follows_a_whole_one(self, growing: GrowingBlob) -> None:
        assert [growing.claim(PART, has_ended=True) for _ in range(2)] == [1, None]

    def test_a_file_shorter_than_a_part_has_none(self, growing: GrowingBlob) -> None:
        assert growing.claim(PART - 1, has_ended=True) is None


class TestCommit:
    def test_the_parts_become_a_blob_that_is_the_file_unpacked(
        self, engine: Engine, growing: GrowingBlob, path: Path, content: bytes, tmp_path: Path
    ) -> None:
        """R-DATA-7: found by its hash from then on, and nothing is left to the collector."""
        send_all(growing, path)
        blob = commit(growing, engine, content)
        assert (kept(engine, blob, tmp_path), blob.bytes) == (content, len(content))
        assert engine.store.put(engine.sessions, tmp_path / "copy") == blob
        assert (unjoined(engine), notes(engine)) == ([], [])

    def test_bytes_that_are_there_already_stay_where_they_are(
        self, engine: Engine, growing: GrowingBlob, path: Path, content: bytes, tmp_path: Path
    ) -> None:
        """R-DATA-7: stored once, packed or not; the parts go."""
        plain = tmp_path / "plain"
        plain.write_bytes(content)
        first = engine.store.put(engine.sessions, plain)
        send_all(growing, path)
        before = objects(engine)
        assert commit(growing, engine, content) == first
        assert (objects(engine), unjoined(engine), notes(engine)) == (before, [], [])

    def test_a_file_of_which_nothing_was_sent_is_sent_whole(
        self, engine: Engine, tmp_path: Path, growing: GrowingBlob, path: Path
    ) -> None:
        size = packed(path, b"short").stat().st_size
        assert growing.claim(size, has_ended=True) is None
        assert kept(engine, commit(growing, engine, b"short"), tmp_path) == b"short"

    def test_a_part_that_could_not_be_sent_makes_it_send_the_whole(
        self, engine: Engine, growing: GrowingBlob, content: bytes, tmp_path: Path
    ) -> None:
        """R-OPS-4: a storage that was away for a moment refuses no upload."""
        number = growing.claim(SIZE)
        assert number == 1
        growing.store(number)
        [(key, storage_id)] = unjoined(engine)
        engine.store.abort_parts(key, storage_id)
        number = growing.claim(SIZE)
        assert number == 2
        growing.store(number)
        assert growing.claim(SIZE) is None
        assert kept(engine, commit(growing, engine, content), tmp_path) == content
        assert notes(engine) == []


class TestAbort:
    def test_nothing_is_left(self, engine: Engine, growing: GrowingBlob, path: Path) -> None:
        before = objects(engine)
        send_all(growing, path)
        assert len(unjoined(engine)) == 1
        growing.abort()
        assert (objects(engine), unjoined(engine), notes(engine)) == (before, [], [])

    def test_after_a_commit_it_takes_nothing_away(
        self, engine: Engine, growing: GrowingBlob, path: Path, content: bytes, tmp_path: Path
    ) -> None:
        send_all(growing, path)
        blob = commit(growing, engine, content)
        growing.abort()
        assert kept(engine, blob, tmp_path) == content


class TestProcessThatDies:
    def test_parts_that_nobody_joined_are_swept(self, engine: Engine, growing: GrowingBlob, path: Path) -> None:
        """R-MODEL-5: those of a living writer are younger."""
        send_all(growing, path)
        assert sweep_parts(engine.store, datetime.now(UTC) - timedelta(hours=1)) == 0
        assert sweep_parts(engine.store, datetime.now(UTC) + timedelta(hours=1)) == 1
        assert unjoined(engine) == []

    def test_an_object_that_got_no_row_is_collected(self, engine: Engine) -> None:
        """R-MODEL-5: it died after the object was made and before there was a row; a day later it is no writer's."""
        blob = StoredBlob(hashlib.sha256(b"orphan").hexdigest(), 6, "blobs/sent/orphan")

        def make_and_die() -> None:
            engine.store.client.put_object(Bucket=engine.bucket.name, Key=blob.key, Body=b"orphan")
            raise RuntimeError

        with pytest.raises(RuntimeError):
            engine.store.keep(engine.sessions, blob, make_and_die)
        collect_blobs(engine.sessions, engine.store, unused_s=3600)
        assert blob.key in objects(engine)
        with engine.sessions.begin() as session:
            session.execute(sa.update(BlobDeletion).values(noted_at=BlobDeletion.noted_at - timedelta(days=1)))
        collect_blobs(engine.sessions, engine.store, unused_s=3600)
        assert blob.key not in objects(engine)
        assert notes(engine) == []
