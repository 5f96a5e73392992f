"""Audio of voice jobs goes after a while, with its bytes; what a job still needs stays (R-MODEL-5, R-VOICE-4)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_api.dispatcher.collecting import collect_blobs
from simorgh_api.dispatcher.retention import Rules, let_go
from simorgh_shared.db.models import File
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue import endings
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database

_DAY_S = 86_400.0


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        for key in stored_keys(made):  # the bucket is the module's
            made.store.delete(key)
        yield made


def passed(engine: Engine) -> int:
    """A pass that keeps audio for a day; how many files went."""
    gone = let_go(engine.sessions, Rules(3, 0, 0, None, voice_audio_kept_s=_DAY_S))
    collect_blobs(engine.sessions, engine.store, 0.0)
    return gone.num_audio_files


def add(engine: Engine, purpose: str, days: float) -> str:
    """A file that came so long ago; its id."""
    path = engine.folder / "bytes"
    path.write_bytes(f"{purpose} {days}".encode())
    stored = engine.store.put(engine.sessions, path)
    file_id = new_id("file")
    with engine.sessions.begin() as session:
        names = {"id": file_id, "project_id": engine.project_id, "purpose": purpose, "name": "clip"}
        session.add(File(**names, sha256=stored.sha256, bytes=stored.bytes))
        session.flush()
        session.execute(
            sa.text("UPDATE files SET created_at = now() - make_interval(hours => :hours) WHERE id = :id"),
            {"hours": int(days * 24), "id": file_id},
        )
    return file_id


def kept(engine: Engine) -> set[str]:
    """The files that there are, each with its bytes; nothing else lies in storage."""
    with engine.sessions() as session:
        rows = session.execute(sa.text("SELECT f.id, b.key FROM files f JOIN blobs b USING (sha256)")).all()
    assert stored_keys(engine) == {row.key for row in rows}
    return {row.id for row in rows}


def stored_keys(engine: Engine) -> set[str]:
    """What lies in storage."""
    listed = engine.store.client.list_objects_v2(Bucket=engine.bucket.name, Prefix="blobs/").get("Contents", [])
    return {one["Key"] for one in listed}


class TestAudio:
    def test_old_audio_goes_with_its_bytes(self, engine: Engine) -> None:
        """R-MODEL-5: what came and what was made; files of other purposes are their users' to delete."""
        old, made = add(engine, "audio", 2), add(engine, "speech", 2)
        others = {add(engine, "audio", 0.5), add(engine, "dataset", 9)}
        assert kept(engine) == {old, made, *others}
        assert passed(engine) == 2
        assert kept(engine) == others

    def test_a_job_that_has_not_ended_keeps_its_file(self, engine: Engine) -> None:
        """R-VOICE-4: it may have waited for days; when it has ended the file goes."""
        file_id = add(engine, "audio", 30)
        engine.submit(JobType.TRANSCRIBE, Queue.IO, {"file_id": file_id})
        assert passed(engine) == 0
        assert kept(engine) == {file_id}
        lease = engine.taken()
        with engine.sessions.begin() as session:
            endings.succeed(session, lease, {})
        assert passed(engine) == 1
        assert kept(engine) == set()
