"""R-DEPLOY-5, the restore drill in short: database and storage gone, and all of it back, in a folder and in S3."""

import hashlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_inference.registry import RegistrySource
from simorgh_shared.backup.places import open_place
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.domain.jobs import JobStatus
from simorgh_shared.queue import claiming
from simorgh_shared.queue.claiming import Offer
from simorgh_shared.storage.blobs import BlobStore
from simorgh_shared.storage.s3 import make_client
from tests.shared.backup.conftest import Busy, backed_up, objects, restored
from tests.support.engine import new_token
from tests.support.stack import Bucket

_SET_ANEW = {
    "jobs": {"status", "lease_owner", "lease_token", "lease_expires_at", "last_seq", "queued_at"},
    "attempts": {"outcome", "ended_at", "checkpoint_out"},
    "blobs": {"last_used_at"},
    "sessions": {"revoked_at", "revoked_reason"},
}
_NOT_KEPT = {"duties", "workers", "stream_tickets", "blob_deletions"}


def rows(settings: BackupSettings) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, but for what a restore sets anew."""
    engine = sa.create_engine(settings.database_owner_url.get_secret_value(), poolclass=sa.NullPool)
    metadata = sa.MetaData()
    metadata.reflect(engine)
    found = {}
    with engine.connect() as connection:
        for table in metadata.tables.values():
            if table.name in _NOT_KEPT:
                continue
            columns = [column for column in table.columns if column.name not in _SET_ANEW.get(table.name, ())]
            found[table.name] = sorted((tuple(row) for row in connection.execute(sa.select(*columns))), key=repr)
    return found


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_everything_comes_back(
    kind: str, busy: Busy, empty: BackupSettings, tmp_path: Path, other_bucket: Bucket
) -> None:
    """R-DEPLOY-5: every row and every hash; what ran is queued and goes on from its checkpoint; the model serves."""
    address = str(tmp_path / "kept") if kind == "folder" else f"s3://{other_bucket.name}/some/where"
    place = open_place(address, busy.settings.backup_storage)
    before, had = rows(busy.settings), objects(busy.engine.bucket)
    backed_up(busy, place)
    told = restored(empty, place)

    after = rows(empty)
    events = [event for event in after["job_events"] if event not in before["job_events"]]
    assert [(event[1], event[4]) for event in events] == [(busy.running_job, "queued")]
    after["job_events"] = before["job_events"]
    assert after == before
    assert max(event[0] for event in events) == max(event[0] for event in before["job_events"]) + 1  # never twice
    client = make_client(empty)
    now = {found["Key"]: found["Size"] for found in client.list_objects_v2(Bucket=empty.s3_bucket).get("Contents", [])}
    assert now == had
    store = BlobStore(client, empty.s3_bucket)
    for blob in busy.blobs:
        assert hashlib.sha256(b"".join(store.read(blob))).hexdigest() == blob.sha256
    assert (told.num_sent, told.num_requeued, told.num_lost) == (len(before["blobs"]), 1, 0)

    engine = make_engine(_app_url(empty, busy))
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        lease = claiming.claim(session, Offer("another", ["io"]), token=new_token(), lease_s=60)
        assert lease is not None
        assert (lease.job_id, lease.attempt, lease.step_done) == (busy.running_job, 2, 7)
        statuses = dict(session.execute(sa.text("SELECT id, status FROM jobs")).all())  # type: ignore[arg-type]
        assert statuses[busy.paused_job] == JobStatus.PAUSED
        assert session.scalar(sa.text("SELECT failures_in_row FROM jobs WHERE id = :id"), {"id": lease.job_id}) == 0
    source = RegistrySource(engine, store, tmp_path / "cache")
    assert len([path for path in source.folder(busy.model_version).rglob("*") if path.is_file()]) >= len(busy.blobs)
    engine.dispose()


def _app_url(settings: BackupSettings, busy: Busy) -> str:
    name = settings.database_owner_url.get_secret_value().rpartition("/")[2]
    return f"{busy.engine.database.url.rpartition('/')[0]}/{name}"
