"""Restores a backup into an empty platform: every blob, checked by its hash, then all rows in one transaction.

Until the last step the database is empty, so an interrupted restore is run again and goes on; objects keep the keys
under which the database knows them.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa
from botocore.exceptions import ClientError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.backup import database, signing
from simorgh_shared.backup.contents import (
    BlobLine,
    Contents,
    checked,
    complete_backups,
    read_blob_lines,
    read_contents,
)
from simorgh_shared.backup.places import BucketPlace, Place
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.db import migrate
from simorgh_shared.db.engine import make_sessions
from simorgh_shared.db.revision import head_revision
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, NotFoundError
from simorgh_shared.domain.jobs import Outcome
from simorgh_shared.queue import claiming, endings
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob
from simorgh_shared.storage.s3 import make_client

_MARK = "restoring"
"""The object that says which backup is on its way into a bucket."""
_AT_ONCE = 4
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a backup is restored."""

    name: str | None = None
    """None means the newest."""
    reuse_storage: bool = False
    """The storage has survived: objects that are there and good stay, the rest of the bucket is left to collection."""
    unsigned: bool = False
    """Take a backup that the platform's key has not signed."""


@dataclass(frozen=True)
class Restored:
    """What was brought back."""

    contents: Contents
    num_sent: int
    num_there: int
    """Objects that were there already, and good."""
    num_requeued: int
    """Jobs that ran when the backup was taken, and go on from their last checkpoint."""
    num_lost: int


def restore(settings: BackupSettings, place: Place, options: Options, say: Say) -> Restored:
    """Bring a backup back. No service may run meanwhile.

    Raises: ConflictError for a database or storage in use; InvalidInputError for a backup that is damaged, newer than
    this code or signed by nobody; NotFoundError; UnavailableError.
    """
    owner_url, role = settings.database_owner_url.get_secret_value(), settings.database_app_role
    with database.connected(owner_url) as connection:  # before the backup is looked at: nobody suspects that in vain
        _require_free(connection, role)
    contents = _trusted(settings, place, options)
    storage = _Storage(settings, place, contents, options.reuse_storage)
    storage.require_free()
    say(f"Restoring {contents.name}: {contents.num_blobs:,} blobs, {len(contents.tables)} tables.")
    lines = list(read_blob_lines(place, contents))
    storage.fill(lines)
    say(f"{storage.num_sent:,} objects brought back, {storage.num_there:,} were there.")
    _move_schema(owner_url, role, contents.revision)
    with database.connected(owner_url) as connection:
        _require_free(connection, role)
        database.load(connection, place, contents)
    migrate.upgrade(owner_url, role)
    num_requeued = _settle(owner_url, [line.sha256 for line in lines if line.lost])
    if options.reuse_storage:
        storage.doom_strangers(owner_url)
    storage.unmark()
    say(f"The database is back as of {contents.made_at[:19]}Z; {num_requeued} jobs that ran then are queued.")
    return Restored(contents, storage.num_sent, storage.num_there, num_requeued, contents.num_lost)


def _trusted(settings: BackupSettings, place: Place, options: Options) -> Contents:
    names = complete_backups(place)
    if not names:
        raise NotFoundError("backup_none", place=str(place))
    name = options.name or names[-1]
    contents, manifest = read_contents(place, name)
    key = signing.signing_key(settings.manifest_key.get_secret_value() if settings.manifest_key else None)
    if key is not None and not options.unsigned:
        signing.require_signature(place, name, manifest, key)
    if contents.name != name:
        raise InvalidInputError("backup_damaged", file=contents.folder)
    if contents.revision > head_revision():
        raise InvalidInputError(
            "restore_newer", name=name, revision=contents.revision, version=contents.version, known=head_revision()
        )
    return contents


def _require_free(connection: database.Connection, role: str | None) -> None:
    num_sessions = 0 if role is None else database.num_sessions(connection, role)
    if num_sessions:
        raise ConflictError("restore_services_running", num_sessions=num_sessions)
    table = database.holds_anything(connection)
    if table is not None:
        raise ConflictError("restore_database_not_empty", table=table)


def _move_schema(owner_url: str, role: str | None, revision: str) -> None:
    """Empty tables as they were when the backup was taken."""
    with database.connected(owner_url) as connection:
        current = database.current_revision(connection)
    if current is not None and current > revision:
        migrate.downgrade(owner_url, revision)
    else:
        migrate.upgrade(owner_url, role, revision)


def _settle(owner_url: str, lost: Sequence[str]) -> int:
    """What the rows say of things that did not come back: leases, sign-ins, half-sent files; how many jobs ran."""
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    try:
        sessions = make_sessions(engine)
        with sessions.begin() as session:
            session.execute(
                sa.text(
                    "UPDATE blobs SET last_used_at = clock_timestamp(), lost_at = CASE WHEN sha256 = ANY (:lost)"
                    " THEN coalesce(lost_at, clock_timestamp()) END"
                ),
                {"lost": list(lost)},
            )
            # Some may have been revoked since; everybody signs in again.
            session.execute(
                sa.text("UPDATE sessions SET revoked_at = now(), revoked_reason = 'restored' WHERE revoked_at IS NULL")
            )
            session.execute(sa.text("UPDATE uploads SET status = 'aborted', cleared_at = now() WHERE status = 'open'"))
        return _requeue(sessions)
    finally:
        engine.dispose()


def _requeue(sessions: sessionmaker[Session]) -> int:
    """Give back the leases of workers that are no more. No failure is counted."""
    with sessions() as session:
        running = session.execute(
            sa.text("SELECT lease_owner, lease_token FROM jobs WHERE status = 'running' ORDER BY id")
        ).all()
    for worker, token in running:
        with sessions.begin() as session:
            lease = claiming.claimed_by(session, worker, token)
            if lease is not None:
                endings.leave(session, lease, Outcome.LOST)
    return len(running)


class _Storage:
    """The platform's bucket while a backup is brought into it."""

    def __init__(self, settings: BackupSettings, place: Place, contents: Contents, reuse: bool) -> None:
        client = make_client(settings)
        self._store = BlobStore(client, settings.s3_bucket)
        self._target = BucketPlace(client, settings.s3_bucket, "")
        self._place, self._contents, self._reuse = place, contents, reuse
        self.num_sent, self.num_there = 0, 0

    def require_free(self) -> None:
        """Mark the bucket as this restore's.

        Raises: ConflictError when it holds something else than what an earlier try of this restore has left.
        """
        try:
            self._store.client.head_bucket(Bucket=self._store.bucket)
        except ClientError as error:
            raise NotFoundError("restore_no_bucket", bucket=self._store.bucket) from error
        name = self._contents.name.encode()
        if not self._reuse:
            first = next(self._target.sizes(""), None)
            try:
                marked = b"".join(self._target.read(_MARK)) == name
            except NotFoundError:
                marked = False
            if first is not None and not marked:
                raise ConflictError("restore_storage_not_empty", bucket=self._store.bucket)
        self._target.put(_MARK, [name])

    def unmark(self) -> None:
        """The bucket is the platform's again."""
        self._target.delete(_MARK)

    def fill(self, lines: Sequence[BlobLine]) -> None:
        """Bring every object that is not there yet."""
        there = dict(self._target.sizes(""))
        wanted = [line for line in lines if not line.lost]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            sent = list(pool.map(lambda line: self._fill(line, there.get(line.key)), wanted))
        self.num_sent, self.num_there = sum(sent), len(sent) - sum(sent)
        for file in self._contents.incoming:
            if there.get(file.key) != file.bytes:
                name = self._contents.folder + file.file
                damaged = InvalidInputError("backup_damaged", file=name)
                self._target.put(file.key, checked(self._place.read(name), file.sha256, None, lambda: damaged))  # noqa: B023

    def _fill(self, line: BlobLine, size: int | None) -> bool:
        """Whether the object had to be sent. An object of this restore appeared whole; a survivor is read."""
        if size == line.stored_bytes and (not self._reuse or self._is_good(line)):
            return False
        damaged = InvalidInputError("backup_damaged", file=line.file)
        gzip_of = line.bytes if line.is_gzipped else None
        chunks = checked(self._place.read(line.file), line.sha256, gzip_of, lambda: damaged)
        self._target.put(line.key, chunks, line.stored_bytes)
        return True

    def _is_good(self, line: BlobLine) -> bool:
        digest = hashlib.sha256()
        try:
            for chunk in self._store.read(StoredBlob(line.sha256, line.bytes, line.key)):
                digest.update(chunk)
        except ArtifactLostError:
            return False
        return digest.hexdigest() == line.sha256

    def doom_strangers(self, owner_url: str) -> None:
        """Note objects that no row names for deletion a day from now: they came after the backup."""
        engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
        try:
            with make_sessions(engine).begin() as session:
                known = set(session.scalars(sa.text("SELECT key FROM blobs")))
                for key in self._strangers(known):
                    session.execute(
                        sa.text(
                            "INSERT INTO blob_deletions (key, sha256, noted_at)"
                            " VALUES (:key, :sha256, clock_timestamp() + interval '1 day') ON CONFLICT DO NOTHING"
                        ),
                        {"key": key, "sha256": key.split("/")[2]},
                    )
        finally:
            engine.dispose()

    def _strangers(self, known: set[str]) -> Iterator[str]:
        for key, _ in self._target.sizes("blobs/"):
            if key not in known and key.count("/") == 3:
                yield key
