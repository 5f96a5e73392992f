"""A platform with something of everything in it, and empty ones to restore into."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from simorgh_cli.backing.servers import BackingServers
from simorgh_shared.backup import restoring, taking
from simorgh_shared.backup.places import FolderPlace, Place
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.db.models import Checkpoint, File, Model, ModelVersion, Upload, User, UserSession
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import DesiredState, JobType, Queue
from simorgh_shared.gzipped import GzipWriter
from simorgh_shared.queue import control
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import StoredBlob, file_sha256
from simorgh_shared.storage.s3 import make_client
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY = "c" * 43
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@dataclass
class Busy:
    """A platform in use."""

    engine: Engine
    settings: BackupSettings
    running_job: str
    paused_job: str
    queued_job: str
    model_version: str
    incoming_key: str
    blobs: list[StoredBlob]


def told(database: Database, bucket: Bucket, **more: str) -> BackupSettings:
    """What a backup of this platform is told."""
    given = {k.removeprefix("SIMORGH_").lower(): v for k, v in bucket.environment().items()}
    return BackupSettings.model_validate(
        given
        | {"database_owner_url": database.owner_url, "database_app_role": database.app_role, "manifest_key": KEY}
        | more
    )


def backed_up(busy: Busy, place: Place, **how: object) -> taking.Taken:
    """A backup that was just taken."""
    options = taking.Options(**how)  # type: ignore[arg-type]
    return taking.take(busy.settings, place, options, datetime.now(UTC), lambda _: None)


def restored(settings: BackupSettings, place: Place, **how: object) -> restoring.Restored:
    """The newest backup, brought back."""
    return restoring.restore(settings, place, restoring.Options(**how), lambda _: None)  # type: ignore[arg-type]


@pytest.fixture(scope="package")
def buckets(backing: BackingServers) -> Iterator[list[Bucket]]:
    """Three buckets: making and dropping one takes the server a second."""
    at = backing.endpoints()
    made = [
        Bucket(f"{name}-{os.getpid()}", at.s3_endpoint_url, at.s3_access_key_id, at.s3_secret_access_key, at.s3_region)
        for name in ("busy", "empty", "kept")
    ]
    for bucket in made:
        client(bucket).create_bucket(Bucket=bucket.name)
    yield made
    for bucket in made:
        clear(bucket)
        client(bucket).delete_bucket(Bucket=bucket.name)


@pytest.fixture
def other_bucket(buckets: list[Bucket]) -> Iterator[Bucket]:
    """An empty bucket that is no platform's."""
    yield buckets[2]
    clear(buckets[2])


def clear(bucket: Bucket) -> None:
    """Leave nothing in it."""
    if there := objects(bucket):
        client(bucket).delete_objects(Bucket=bucket.name, Delete={"Objects": [{"Key": key} for key in there]})


def client(bucket: Bucket) -> "S3Client":
    """A client of its storage."""
    given = {k.removeprefix("SIMORGH_").lower(): v for k, v in bucket.environment().items()}
    return make_client(StorageSettings.model_validate(given))


def objects(bucket: Bucket) -> dict[str, int]:
    """Keys and sizes of all that lies in a bucket."""
    pages = client(bucket).get_paginator("list_objects_v2").paginate(Bucket=bucket.name)
    return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", ())}


@pytest.fixture
def busy(new_database: Callable[[], Database], redis_url: str, buckets: list[Bucket], tmp_path: Path) -> Iterator[Busy]:
    """A platform with datasets, a model, jobs of each state, and files on their way."""
    database, bucket = new_database(), buckets[0]
    folder = tmp_path / "platform"
    folder.mkdir()
    with running_engine(database, redis_url, bucket, folder) as engine:
        yield _filled(engine, told(database, bucket))
    clear(bucket)


def _filled(engine: Engine, settings: BackupSettings) -> Busy:
    version_id = engine.dataset()
    blobs = [_put(engine, f"file {n}".encode() * 2000) for n in range(4)]
    blobs += [_put_gzipped(engine, "سی مرغ\n".encode() * 5000), _put(engine, b"")]
    spec = {"dataset_version_id": version_id}
    queued = engine.probe(spec)
    running, paused = engine.probe(spec, priority=90), engine.probe(spec)
    incoming = f"incoming/{engine.project_id}/{new_id('in')}"
    engine.store.client.put_object(Bucket=engine.bucket.name, Key=incoming, Body=b"rows" * 999)
    importing = engine.submit(JobType.IMPORT, Queue.IO, {})
    lease = engine.taken(worker="worker-that-dies")
    assert lease.job_id == running
    with engine.sessions.begin() as session:
        control.request(session, engine.project_id, paused, DesiredState.PAUSE)
        user_id, model_id, model_version = new_id("usr"), new_id("mdl"), new_id("mv")
        session.add(User(id=user_id, email="sara@example.test", name="سارا", password_hash="-"))
        session.flush()
        session.add(UserSession(id=new_id("ses"), user_id=user_id, expires_at=datetime(2099, 1, 1, tzinfo=UTC)))
        session.add(
            File(
                id=new_id("file"),
                project_id=engine.project_id,
                purpose="audio",
                name="a\tb\\n.wav",
                sha256=blobs[0].sha256,
                bytes=blobs[0].bytes,
            )
        )
        session.add(
            Upload(
                id=new_id("upl"),
                project_id=engine.project_id,
                purpose="dataset",
                name="x",
                bytes=3996,
                part_bytes=3996,
                key=incoming,
                status="completed",
                job_id=importing,
            )
        )
        checkpoint = Checkpoint(
            id=new_id("ckpt"),
            job_id=running,
            attempt=1,
            step=7,
            reason="scheduled",
            manifest_id=manifests.create(session, "checkpoint", [manifests.Entry("weights", blobs[1])]),
        )
        session.add(checkpoint)
        session.flush()
        session.execute(
            sa.text("UPDATE jobs SET checkpoint_id = :c, step_done = 7 WHERE id = :j"),
            {"c": checkpoint.id, "j": running},
        )
        session.add(Model(id=model_id, project_id=engine.project_id, name="birds"))
        session.flush()
        entries = [manifests.Entry(f"part/{n}", blob) for n, blob in enumerate(blobs)]
        session.add(
            ModelVersion(
                id=model_version,
                model_id=model_id,
                version=1,
                kind="base",
                format="safetensors",
                manifest_id=manifests.create(session, "model", entries),
                bytes=1,
            )
        )
    return Busy(engine, settings, running, paused, queued, model_version, incoming, blobs)


def _put(engine: Engine, data: bytes) -> StoredBlob:
    path = engine.folder / secrets.token_hex(4)
    path.write_bytes(data)
    return engine.store.put(engine.sessions, path)


def _put_gzipped(engine: Engine, data: bytes) -> StoredBlob:
    plain, packed = engine.folder / "plain", engine.folder / "packed.gz"
    plain.write_bytes(data)
    writer = GzipWriter(packed)
    writer.write(data)
    writer.close()
    return engine.store.put_gzipped(engine.sessions, packed, file_sha256(plain), len(data))


@pytest.fixture(scope="package")
def made_once(
    new_database: Callable[[], Database],
    backing: BackingServers,
    buckets: list[Bucket],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, taking.Taken]:
    """A whole backup, for tests that need no more of its platform; `kept` is a copy of one's own."""
    database, folder = new_database(), tmp_path_factory.mktemp("made")
    with running_engine(database, backing.endpoints().redis_url, buckets[0], folder) as engine:
        busy = _filled(engine, told(database, buckets[0]))
        taken = backed_up(busy, FolderPlace(folder / "backups"))
    clear(buckets[0])
    return folder / "backups", taken


@pytest.fixture
def kept(made_once: tuple[Path, taking.Taken], tmp_path: Path) -> tuple[Path, taking.Taken]:
    """A folder with a whole backup, to do with as one likes."""
    shutil.copytree(made_once[0], tmp_path / "backups")
    return tmp_path / "backups", made_once[1]


@pytest.fixture
def place(tmp_path: Path) -> FolderPlace:
    """An empty folder for backups."""
    return FolderPlace(tmp_path / "backups")


@pytest.fixture
def empty(new_database: Callable[[], Database], buckets: list[Bucket]) -> Iterator[BackupSettings]:
    """A platform with nothing in it."""
    yield told(new_database(), buckets[1])
    clear(buckets[1])
