"""Takes a backup of a platform that may be running: the database as of one moment, then every blob that it names."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.backup import database, keeping, signing
from simorgh_shared.backup.contents import (
    BACKUPS,
    BLOBS,
    FORMAT,
    MANIFEST,
    BlobLine,
    Contents,
    IncomingLine,
    checked,
    complete_backups,
    put_blob_lines,
    read_blob_lines,
    read_contents,
)
from simorgh_shared.backup.places import BucketPlace, Place
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.db.engine import make_sessions
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob, mark_lost
from simorgh_shared.storage.holding import StorageHold
from simorgh_shared.storage.s3 import make_client

_AT_ONCE = 4  # small blobs wait for the network, not for the processor
_TRIALS = 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a backup is taken."""

    keep: int | None = None
    """Of the whole backups in the place, so many of the newest stay; None keeps all."""
    verify: bool = False
    """Read what lies in the place already, too, and send anew what is damaged there."""


@dataclass(frozen=True)
class Taken:
    """A backup that is whole."""

    contents: Contents
    num_sent: int
    bytes_sent: int
    newly_lost: Sequence[str]
    """Hashes of blobs whose objects were found missing or damaged; they are marked now."""
    num_removed: int
    """Backups that were let go."""


def take(settings: BackupSettings, place: Place, options: Options, now: datetime, say: Say) -> Taken:
    """Take a backup. What was in the place before stays as it is until the new one is whole.

    Raises: ConflictError while another one runs; UnavailableError when database, storage or place do not answer.
    """
    _require_elsewhere(settings, place)
    key = signing.signing_key(settings.manifest_key.get_secret_value() if settings.manifest_key else None)
    owner_url = settings.database_owner_url.get_secret_value()
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    sessions = make_sessions(engine)
    name = f"{now:%Y%m%dT%H%M%S.%fZ}"  # in the order of time; the hold lets no two be taken at once
    try:
        with database.connected(owner_url) as connection:
            if database.current_revision(connection) is None:
                raise NotFoundError("backup_no_schema")
        with StorageHold(sessions) as hold:
            keeping.sweep(place)
            with database.connected(owner_url) as connection:
                dump = database.dump(connection, place, f"{BACKUPS}{name}/")
            num_rows = sum(table.rows for table in dump.tables)
            say(f"The database as of {dump.made_at[:19]}Z: {len(dump.tables)} tables, {num_rows:,} rows.")
            copier = _Copier(settings, place, sessions, hold, options.verify)
            lines = copier.copy_all(dump.blobs, say)
            incoming = list(copier.copy_incoming(dump.incoming, f"{BACKUPS}{name}/"))
            contents = Contents(
                FORMAT,
                name,
                dump.made_at,
                version("simorgh-shared"),
                dump.revision,
                dump.postgres,
                dump.tables,
                dump.sequences,
                put_blob_lines(place, f"{BACKUPS}{name}/", lines),
                len(lines),
                sum(line.lost for line in lines),
                sum(line.bytes for line in lines if not line.lost),
                incoming,
            )
            manifest = msgspec.json.format(msgspec.json.encode(contents))
            if key is not None:
                signing.sign(place, name, manifest, key)
            place.put(contents.folder + MANIFEST, [manifest])
            num_removed = 0 if options.keep is None else keeping.prune(place, options.keep)
    finally:
        engine.dispose()
    return Taken(contents, copier.num_sent, copier.bytes_sent, copier.newly_lost, num_removed)


def _require_elsewhere(settings: BackupSettings, place: Place) -> None:
    at = settings.backup_storage.s3_endpoint_url
    if isinstance(place, BucketPlace) and (place.bucket, at) == (settings.s3_bucket, settings.s3_endpoint_url):
        raise InvalidInputError("backup_same_bucket", bucket=place.bucket)


class _Copier:
    """Brings objects of the platform's storage into the place, each checked against its hash on the way."""

    def __init__(
        self, settings: BackupSettings, place: Place, sessions: sessionmaker[Session], hold: StorageHold, verify: bool
    ) -> None:
        client = make_client(settings)
        self._store = BlobStore(client, settings.s3_bucket)
        self._client, self._bucket = client, settings.s3_bucket
        self._place, self._sessions, self._hold, self._verify = place, sessions, hold, verify
        self.num_sent, self.bytes_sent = 0, 0
        self.newly_lost: list[str] = []

    def copy_all(self, blobs: Sequence[BlobLine], say: Say) -> list[BlobLine]:
        """Bring what is not there yet; the lines as they are to be kept."""
        there = dict(self._place.sizes(BLOBS))
        gzipped = self._gzipped_sizes()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            copied = list(pool.map(lambda blob: self._copy(blob, there, gzipped), blobs))
        sent = [line.stored_bytes for line, is_sent in copied if is_sent]
        self.num_sent, self.bytes_sent = len(sent), sum(sent)
        lines = [line for line, _ in copied]
        say(f"{len(lines):,} blobs, of which {self.num_sent:,} were new ({self.bytes_sent:,} bytes sent).")
        return lines

    def copy_incoming(self, keys: Sequence[str], folder: str) -> Iterator[IncomingLine]:
        """Bring the files that jobs have still to look at; of one that is gone the job has ended meanwhile."""
        for number, key in enumerate(keys):
            digest = hashlib.sha256()
            name = f"incoming/{number}"
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]
            except self._client.exceptions.NoSuchKey:
                continue

            def hashed(chunks: Iterator[bytes], digest: "hashlib._Hash" = digest) -> Iterator[bytes]:
                for chunk in chunks:
                    digest.update(chunk)
                    yield chunk

            num_bytes = self._place.put(folder + name, hashed(body.iter_chunks(1 << 20)))
            yield IncomingLine(key, name, digest.hexdigest(), num_bytes)

    def _gzipped_sizes(self) -> dict[str, int]:
        """What the newest backup tells of gzipped files: their sizes do not follow from the blobs'."""
        names = complete_backups(self._place)
        if not names:
            return {}
        contents, _ = read_contents(self._place, names[-1])
        return {line.file: line.stored_bytes for line in read_blob_lines(self._place, contents) if line.is_gzipped}

    def _copy(self, blob: BlobLine, there: dict[str, int], gzipped: dict[str, int]) -> tuple[BlobLine, bool]:
        """The line to keep, and whether the bytes had to be sent."""
        expected = gzipped.get(blob.file) if blob.is_gzipped else blob.bytes
        if expected is not None and there.get(blob.file) == expected and (not self._verify or self._is_good(blob)):
            return replace(blob, stored_bytes=expected), False
        for trial in range(1, _TRIALS + 1):
            try:
                return replace(blob, stored_bytes=self._send(blob)), True
            except ArtifactLostError:
                return self._lost(blob), False
            except UnavailableError:
                if trial == _TRIALS:
                    raise
        raise AssertionError("the last trial returns or raises")

    def _send(self, blob: BlobLine) -> int:
        raw = self._store.read_stored(StoredBlob(blob.sha256, blob.bytes, blob.key))
        gzip_of = blob.bytes if blob.is_gzipped else None
        damaged = ArtifactLostError(blob.key, blob.sha256)
        return self._place.put(blob.file, checked(raw, blob.sha256, gzip_of, lambda: damaged), blob.bytes)

    def _is_good(self, blob: BlobLine) -> bool:
        gzip_of = blob.bytes if blob.is_gzipped else None
        damaged = ArtifactLostError(blob.file, blob.sha256)
        try:
            for _ in checked(self._place.read(blob.file), blob.sha256, gzip_of, lambda: damaged):
                pass
        except ArtifactLostError:
            return False
        return True

    def _lost(self, blob: BlobLine) -> BlobLine:
        """Note a loss, unless the object may have been let go while nobody held it."""
        if not self._hold.is_whole:
            raise UnavailableError("backup_interrupted", retry_after_s=60)
        with self._sessions.begin() as session:
            known = session.scalar(sa.text("SELECT lost_at FROM blobs WHERE key = :key"), {"key": blob.key})
            if known is None:
                mark_lost(session, blob.sha256)
                self.newly_lost.append(blob.sha256)
        return replace(blob, lost=True)
