"""What goes and what stays, in a real database and a real storage (R-MODEL-5)."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_api.dispatcher.collecting import collect_blobs
from simorgh_api.dispatcher.retention import LetGo, Rules, let_go
from simorgh_shared.db.engine import make_engine
from simorgh_shared.db.models import Alias, Checkpoint, DatasetVersion, Job, ModelVersion
from simorgh_shared.db.repositories import models
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue import checkpoints, endings
from simorgh_shared.storage.blobs import StoredBlob
from simorgh_shared.storage.manifests import Entry
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database

_AT_ONCE = Rules(checkpoints_kept=2, ended_grace_s=0, deleted_grace_s=0, audit_days=None)
_numbers = itertools.count(1)


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made


@pytest.fixture
def blob(engine: Engine) -> Callable[[], StoredBlob]:
    """Stores bytes that nobody else has."""

    def make() -> StoredBlob:
        path = engine.folder / "bytes"
        path.write_bytes(f"bytes {next(_numbers)}".encode() * 100)
        return engine.store.put(engine.sessions, path)

    return make


def passed(engine: Engine, rules: Rules = _AT_ONCE) -> LetGo:
    """A pass after an hour, with the collection that follows it."""
    with engine.sessions.begin() as session:
        session.execute(sa.text("UPDATE manifests SET created_at = created_at - interval '61 minutes'"))
    gone = let_go(engine.sessions, rules)
    collect_blobs(engine.sessions, engine.store, 0.0)
    return gone


def lies_there(engine: Engine, stored: StoredBlob) -> bool:
    """Whether the bytes are in storage and whole."""
    answer = engine.store.client.list_objects_v2(Bucket=engine.bucket.name, Prefix=stored.key)
    if not answer.get("Contents"):
        return False
    assert len(b"".join(engine.store.read(stored))) == stored.bytes
    return True


class Run:
    """A run without a worker: its checkpoints are committed as a worker commits them."""

    def __init__(self, engine: Engine, blob: Callable[[], StoredBlob], **more: str) -> None:
        self.engine, self._blob = engine, blob
        self.job_id = engine.submit(JobType.TRAIN, Queue.IO, {"dataset_version_id": engine.dataset()}, **more)
        self.lease = engine.taken()
        self.saved: dict[int, StoredBlob] = {}

    def save(self, step: int, reason: str = "interval", kept: int = 100) -> str:
        """Save a checkpoint; its id."""
        self.saved[step] = self._blob()
        with self.engine.sessions.begin() as session:
            entries = [Entry("state.safetensors", self.saved[step])]
            (event,) = checkpoints.commit(session, self.lease, step, reason, entries, kept)
        checkpoint_id: str = event.payload["checkpoint_id"]
        return checkpoint_id

    def end(self) -> "Run":
        """Succeed."""
        with self.engine.sessions.begin() as session:
            endings.succeed(session, self.lease, {})
        return self

    def rest(self) -> "Run":
        """Stop, to go on later."""
        with self.engine.sessions.begin() as session:
            session.execute(sa.update(Job).where(Job.id == self.job_id).values(desired_state="stop"))
        with self.engine.sessions.begin() as session:
            endings.leave(session, self.lease)
        return self

    def steps(self) -> list[int]:
        """The steps whose checkpoints are there, each with its bytes; the bytes of the others are gone."""
        with self.engine.sessions() as session:
            query = sa.select(Checkpoint.step).where(Checkpoint.job_id == self.job_id).order_by(Checkpoint.step)
            found = list(session.scalars(query))
        assert {step for step, stored in self.saved.items() if lies_there(self.engine, stored)} == set(found)
        return found


@pytest.fixture
def run(engine: Engine, blob: Callable[[], StoredBlob]) -> Callable[..., Run]:
    return lambda **more: Run(engine, blob, **more)


class TestCheckpoints:
    def test_an_ended_run_keeps_the_newest(self, engine: Engine, run: Callable[..., Run]) -> None:
        """R-MODEL-5: the bytes of the others are gone from storage."""
        ended = run()
        for step in (1, 2, 3, 4):
            ended.save(step, "requested" if step == 1 else "interval")
        ended.end()
        assert passed(engine).num_checkpoints == 2
        assert ended.steps() == [3, 4]
        assert passed(engine) == LetGo(0, 0, 0, 0, 0, 0)

    def test_it_keeps_all_for_a_while(self, engine: Engine, run: Callable[..., Run]) -> None:
        ended = run()
        for step in (1, 2, 3):
            ended.save(step)
        ended.end()
        passed(engine, Rules(1, ended_grace_s=3_600, deleted_grace_s=0, audit_days=None))
        assert ended.steps() == [1, 2, 3]

    def test_a_project_says_how_many(self, engine: Engine, run: Callable[..., Run]) -> None:
        ended = run()
        for step in (1, 2, 3):
            ended.save(step)
        ended.end()
        with engine.sessions.begin() as session:
            session.execute(sa.text("UPDATE projects SET checkpoints_kept = 1"))
        passed(engine)
        assert ended.steps() == [3]

    def test_what_is_used_stays(self, engine: Engine, run: Callable[..., Run], blob: Callable[[], StoredBlob]) -> None:
        """R-MODEL-5: by a model version, by a job that starts from it, by an attempt that runs."""
        ended = run()
        ids = [ended.save(step) for step in (1, 2, 3, 4, 5, 6)]
        ended.end()
        run(init_checkpoint_id=ids[0])
        live = run()
        with engine.sessions.begin() as session:
            new = NewModel("m", "tuned", "safetensors", [Entry("a", blob())], {}, {}, None)
            version_id = models.register(session, engine.project_id, new).model_version_id
            session.get_one(ModelVersion, version_id).checkpoint_id = ids[1]
            statement = "UPDATE attempts SET checkpoint_in = :checkpoint_id WHERE job_id = :job_id"
            session.execute(sa.text(statement), {"checkpoint_id": ids[2], "job_id": live.job_id})
        assert passed(engine).num_checkpoints == 1
        assert ended.steps() == [1, 2, 3, 5, 6]

    def test_a_resting_run_keeps_what_it_needs_and_what_was_asked_for(
        self, engine: Engine, run: Callable[..., Run]
    ) -> None:
        """R-MODEL-5: it goes on from its newest."""
        resting = run()
        for step, reason in enumerate(("requested", "interval", "interval", "leaving"), 1):
            resting.save(step, reason)
        resting.rest()
        passed(engine, Rules(1, 0, 0, None))
        assert resting.steps() == [1, 4]
        assert engine.job(resting.job_id).step_done == 4

    def test_what_was_asked_for_outlives_its_run_s_newer_ones(self, engine: Engine, run: Callable[..., Run]) -> None:
        """R-MODEL-5: a living run retires what it saved by itself."""
        living = run()
        living.save(1, "requested", kept=2)
        for step in (2, 3, 4):
            living.save(step, kept=2)
        passed(engine)
        assert living.steps() == [1, 3, 4]

    def test_a_run_that_starts_from_one_meanwhile_keeps_it(self, engine: Engine, run: Callable[..., Run]) -> None:
        """R-MODEL-5: whoever refers to a checkpoint at the same moment wins, or it is passed over."""
        ended = run()
        first = ended.save(1)
        for step in (2, 3):
            ended.save(step)
        ended.end()
        with engine.sessions.begin() as session:
            locked = sa.select(Checkpoint.id).where(Checkpoint.id == first).with_for_update(key_share=True)
            assert session.scalar(locked) == first
            assert let_go(engine.sessions, _AT_ONCE).num_checkpoints == 0
        run(init_checkpoint_id=first)
        passed(engine)
        assert ended.steps() == [1, 2, 3]

    def test_several_passes_at_once_let_go_of_each_once(self, engine: Engine, run: Callable[..., Run]) -> None:
        """R-MODEL-5: any number of dispatchers may run."""
        ended = run()
        for step in range(1, 13):
            ended.save(step)
        ended.end()
        gone: list[int] = []
        threads = [
            threading.Thread(target=lambda: gone.append(let_go(engine.sessions, _AT_ONCE, 4).num_checkpoints))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        while let_go(engine.sessions, _AT_ONCE, 4).num_checkpoints:
            pass
        passed(engine)
        assert ended.steps() == [11, 12]
        assert sum(gone) <= 10


class TestDeletedModels:
    def register(self, engine: Engine, blobs: Sequence[StoredBlob], name: str) -> str:
        entries = [Entry(f"file-{number}", stored) for number, stored in enumerate(blobs)]
        with engine.sessions.begin() as session:
            new = NewModel(name, "base", "safetensors", entries, {"made": "here"}, {}, None)
            return models.register(session, engine.project_id, new).model_version_id

    def delete(self, engine: Engine, version_id: str) -> None:
        with engine.sessions.begin() as session:
            statement = "UPDATE models SET deleted_at = now() FROM model_versions v WHERE v.model_id = models.id"
            session.execute(sa.text(f"{statement} AND v.id = :id"), {"id": version_id})

    def version(self, engine: Engine, version_id: str) -> ModelVersion:
        with engine.sessions() as session:
            return session.get_one(ModelVersion, version_id)

    def test_its_files_go_and_its_hashes_stay(self, engine: Engine, blob: Callable[[], StoredBlob]) -> None:
        """R-MODEL-5, R-MODEL-2: but for what another model holds too."""
        own, shared = blob(), blob()
        gone = self.register(engine, [own, shared], "gone")
        self.register(engine, [shared], "stays")
        self.delete(engine, gone)
        assert passed(engine).num_model_versions == 1
        version = self.version(engine, gone)
        assert version.manifest_id is None
        assert version.lineage == {"made": "here", "files": {"file-0": own.sha256, "file-1": shared.sha256}}
        assert not lies_there(engine, own)
        assert lies_there(engine, shared)

    def test_it_stays_while_an_alias_or_a_living_job_names_it(
        self, engine: Engine, run: Callable[..., Run], blob: Callable[[], StoredBlob]
    ) -> None:
        """R-MODEL-5: a run that rests needs its base when it goes on."""
        stored = blob(), blob()
        aliased, base = (self.register(engine, [one], str(number)) for number, one in enumerate(stored))
        resting = run().rest()
        with engine.sessions.begin() as session:
            model_id = session.get_one(ModelVersion, aliased).model_id
            session.add(Alias(model_id=model_id, name="champion", model_version_id=aliased))
            job = session.get_one(Job, resting.job_id)
            job.spec = job.spec | {"base_version_id": base}
        for version_id in (aliased, base):
            self.delete(engine, version_id)
        assert passed(engine).num_model_versions == 0
        assert [lies_there(engine, one) for one in stored] == [True, True]

    def test_a_writer_of_the_same_bytes_keeps_them(self, engine: Engine, blob: Callable[[], StoredBlob]) -> None:
        """R-MODEL-5: bytes that somebody is about to refer to are not collected under his hands."""
        stored = blob()
        self.delete(engine, self.register(engine, [stored], "gone"))
        path = engine.folder / "bytes"
        with engine.sessions.begin() as session:
            session.execute(sa.text("UPDATE blobs SET last_used_at = last_used_at - interval '2 days'"))
            session.execute(sa.text("UPDATE manifests SET created_at = created_at - interval '61 minutes'"))
        let_go(engine.sessions, _AT_ONCE)
        again = engine.store.put(engine.sessions, path)
        collect_blobs(engine.sessions, engine.store, 86_400.0)
        assert again == stored
        self.register(engine, [again], "made again")
        collect_blobs(engine.sessions, engine.store, 0.0)
        assert lies_there(engine, stored)


class TestDeletedDatasets:
    def test_its_files_go_when_the_last_living_job_has_ended(self, engine: Engine, run: Callable[..., Run]) -> None:
        """R-MODEL-5, R-DATA-7: until then it can go on."""
        resting = run().rest()
        version_id = engine.dataset()
        with engine.sessions() as session:
            sha256 = session.get_one(DatasetVersion, version_id).content_sha256
        stored = engine.store.put(engine.sessions, engine.folder / "train.jsonl")
        assert stored.sha256 == sha256
        with engine.sessions.begin() as session:
            session.execute(sa.text("UPDATE datasets SET deleted_at = now()"))
        assert passed(engine).num_dataset_versions == 0
        assert lies_there(engine, stored)
        with engine.sessions.begin() as session:
            job = session.get_one(Job, resting.job_id)
            job.status, job.desired_state, job.finished_at = "cancelled", "cancel", sa.func.now()
        assert passed(engine).num_dataset_versions == 1
        assert not lies_there(engine, stored)


class TestAuditLines:
    def test_old_ones_go_and_no_setting_touches_the_last_month(self, engine: Engine, fresh_database: Database) -> None:
        """R-MODEL-5, R-AUTH-6: the application itself cannot delete one."""
        owner = make_engine(fresh_database.owner_url)
        insert = "INSERT INTO audit_events (id, at, action, status, address, user_agent, request_id)"
        with owner.begin() as connection:
            for days in (1, 20, 100, 400):
                statement = f"{insert} VALUES (:id, now() - make_interval(days => :days), 'x', 200, '', '', '')"
                connection.execute(sa.text(statement), {"id": f"aud_{days}", "days": days})
        assert passed(engine).num_audit_lines == 0
        assert passed(engine, Rules(2, 0, 0, audit_days=365)).num_audit_lines == 1
        assert passed(engine, Rules(2, 0, 0, audit_days=1)).num_audit_lines == 1
        with owner.connect() as connection:
            left = connection.scalars(sa.text("SELECT id FROM audit_events ORDER BY at DESC")).all()
        owner.dispose()
        assert left == ["aud_1", "aud_20"]
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), engine.sessions.begin() as session:
            session.execute(sa.text("DELETE FROM audit_events"))
