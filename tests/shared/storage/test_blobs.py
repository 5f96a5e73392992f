"""Blobs in a real S3 server: stored once, collected when unused, stored anew when lost."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_shared.db.models import Blob, BlobDeletion
from simorgh_shared.gzipped import GzipWriter
from simorgh_shared.storage.blobs import ArtifactLostError, StoredBlob, collect, mark_lost
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file.bin"
    made.write_bytes(b"thirty birds" * 1000)
    return made


def objects(engine: Engine) -> list[str]:
    answer = engine.store.client.list_objects_v2(Bucket=engine.bucket.name, Prefix="blobs/")
    return sorted(found["Key"] for found in answer.get("Contents", []))


def damage(engine: Engine, blob: StoredBlob) -> None:
    engine.store.client.put_object(Bucket=engine.bucket.name, Key=blob.key, Body=b"x" * blob.bytes)


class TestPut:
    def test_the_same_bytes_are_stored_once(self, engine: Engine, path: Path) -> None:
        """R-DATA-7."""
        first = engine.store.put(engine.sessions, path)
        assert engine.store.put(engine.sessions, path) == first
        assert objects(engine).count(first.key) == 1

    def test_bytes_whose_object_was_lost_are_stored_anew_under_another_key(
        self, engine: Engine, path: Path, tmp_path: Path
    ) -> None:
        """Architecture 5: what refers to the blob works again, and the old key is left to the collector."""
        first = engine.store.put(engine.sessions, path)
        damage(engine, first)
        with pytest.raises(ArtifactLostError) as lost:
            engine.store.fetch(first, tmp_path / "copy")
        assert lost.value.sha256 == first.sha256
        assert not (tmp_path / "copy").exists()
        with engine.sessions.begin() as session:
            mark_lost(session, first.sha256)
        again = engine.store.put(engine.sessions, path)
        assert (again.sha256, again.key == first.key) == (first.sha256, False)
        engine.store.fetch(again, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == path.read_bytes()
        with engine.sessions() as session:
            assert session.scalars(sa.select(BlobDeletion.key)).all() == [first.key]
            assert session.scalar(sa.select(Blob.lost_at)) is None
        assert engine.store.put(engine.sessions, path) == again


class TestFetch:
    def test_an_object_that_is_gone_is_named(self, engine: Engine, path: Path, tmp_path: Path) -> None:
        blob = engine.store.put(engine.sessions, path)
        engine.store.delete(blob.key)
        with pytest.raises(ArtifactLostError, match="copy"):
            engine.store.fetch(blob, tmp_path / "copy")


class TestPacked:
    """A blob whose object is the gzip of its bytes (ADR 0006)."""

    @pytest.fixture
    def content(self) -> bytes:
        return "".join(f"سطر {number}\n" for number in range(400_000)).encode()

    @pytest.fixture
    def blob(self, engine: Engine, content: bytes, tmp_path: Path) -> StoredBlob:
        writer = GzipWriter(tmp_path / "packed.gz")
        writer.write(content)
        writer.close()
        return engine.store.put_gzipped(
            engine.sessions, tmp_path / "packed.gz", hashlib.sha256(content).hexdigest(), len(content)
        )

    def test_readers_see_the_bytes(self, engine: Engine, blob: StoredBlob, content: bytes, tmp_path: Path) -> None:
        """R-DATA-7: whole, in part, and as a file; the storage holds a fraction."""
        assert b"".join(engine.store.read(blob)) == content
        assert b"".join(engine.store.read(blob, 1_500_000, 100)) == content[1_500_000:1_500_100]
        engine.store.fetch(blob, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content
        head = engine.store.client.head_object(Bucket=engine.bucket.name, Key=blob.key)
        assert head["ContentLength"] < len(content) / 3

    def test_a_damaged_object_is_lost_and_heals(self, engine: Engine, blob: StoredBlob, tmp_path: Path) -> None:
        """R-JOB-1: its readers are told, and whoever stores the bytes next stores them anew."""
        engine.store.client.put_object(Bucket=engine.bucket.name, Key=blob.key, Body=b"\x1f\x8b nothing")
        with pytest.raises(ArtifactLostError):
            engine.store.fetch(blob, tmp_path / "copy")
        with engine.sessions.begin() as session:
            mark_lost(session, blob.sha256)
        again = engine.store.put_gzipped(engine.sessions, tmp_path / "packed.gz", blob.sha256, blob.bytes)
        engine.store.fetch(again, tmp_path / "copy")


class TestCollect:
    def test_what_was_touched_lately_stays(self, engine: Engine, path: Path) -> None:
        """R-MODEL-5's base: unused for long and referred to nowhere, or not at all."""
        blob = engine.store.put(engine.sessions, path)
        with engine.sessions.begin() as session:
            assert collect(session, unused_s=3600) == []
            assert collect(session, unused_s=0) == [blob.key]
        with engine.sessions() as session:
            assert session.scalars(sa.select(BlobDeletion.key)).all() == [blob.key]
