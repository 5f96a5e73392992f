"""Content-addressed blobs: bytes are known by their SHA-256, and stored once.

An object's key is unique per upload and never used again, so a half-written or doomed object can never be
mistaken for a good one. Only the row in `blobs` makes an object reachable. No session is open in a transfer.

A key that ends in `.gz` says that the object is the gzip of the bytes (ADR 0006); hash and size are always theirs.
"""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import Blob, BlobDeletion
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.gzipped import GZIP_SUFFIX, GunzipError, clipped, gunzipped

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 1 << 20
# Few threads: the embedded storage takes about 200 MB/s whatever the client does, and memory is dearer.
TRANSFER = TransferConfig(multipart_threshold=32 << 20, multipart_chunksize=16 << 20, max_concurrency=2)
# Within the storage, where S3 takes one request for 5 GiB at most, and each has to answer in time.
_COPY = TransferConfig(multipart_threshold=512 << 20, multipart_chunksize=256 << 20, max_concurrency=2)

_UNREACHED = timedelta(days=1)  # far more than the join or the sending of any file takes


class ArtifactLostError(Exception):
    """An object is gone from storage, or its bytes are not those that were stored.

    Whoever has a database at hand tells it with `mark_lost`, so that the same bytes are stored anew next time.
    """

    def __init__(self, path: str, sha256: str | None = None) -> None:
        super().__init__(path)
        self.path = path
        self.sha256 = sha256


@dataclass(frozen=True)
class StoredBlob:
    """Bytes that lie in storage."""

    sha256: str
    bytes: int
    key: str

    @property
    def is_gzipped(self) -> bool:
        """Whether the object is the gzip of the bytes."""
        return self.key.endswith(GZIP_SUFFIX)


class BlobStore:
    """Stores and fetches blobs. Safe to share between threads."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    @property
    def client(self) -> "S3Client":
        """The S3 client underneath."""
        return self._client

    @property
    def bucket(self) -> str:
        """The bucket that holds the objects."""
        return self._bucket

    def put(
        self, sessions: sessionmaker[Session], path: Path, sha256: str | None = None, lies_at: str | None = None
    ) -> StoredBlob:
        """Store a file unless its content is there already. `lies_at` is a key with the same bytes: storage copies it.

        The row is touched first, so that the collector leaves a blob alone that someone is about to refer to.

        Raises: UnavailableError when the storage does not answer; nothing is kept then.
        """
        digest = sha256 or file_sha256(path)
        key = _new_key(digest)

        def send() -> None:
            if lies_at is None:
                self._client.upload_file(str(path), self._bucket, key, Config=TRANSFER)
            else:
                self._client.copy({"Bucket": self._bucket, "Key": lies_at}, self._bucket, key, Config=_COPY)

        return self.keep(sessions, StoredBlob(digest, path.stat().st_size, key), send)

    def put_gzipped(self, sessions: sessionmaker[Session], path: Path, sha256: str, num_bytes: int) -> StoredBlob:
        """Store bytes of this hash and size, of which the file is the gzip.

        Raises: as `put`.
        """
        key = _new_key(sha256) + GZIP_SUFFIX

        def send() -> None:
            self._client.upload_file(str(path), self._bucket, key, Config=TRANSFER)

        return self.keep(sessions, StoredBlob(sha256, num_bytes, key), send)

    def keep(self, sessions: sessionmaker[Session], blob: StoredBlob, make: Callable[[], None]) -> StoredBlob:
        """Make a blob of the object that `make` brings into being, unless its content is there already.

        Raises: UnavailableError when the storage does not answer; nothing is kept then.
        """
        with sessions.begin() as session:
            known = touch(session, blob.sha256)
            if known is None:  # the collector's, should this process die before there is a row
                doomed_at = sa.func.clock_timestamp() + _UNREACHED
                session.add(BlobDeletion(key=blob.key, sha256=blob.sha256, noted_at=doomed_at))
        if known is not None:
            return known
        with storage_errors():
            make()
        with sessions.begin() as session:
            kept = _insert(session, blob)
            if kept.key == blob.key:
                session.execute(sa.delete(BlobDeletion).where(BlobDeletion.key == blob.key))
        if kept.key != blob.key:  # another writer stored the same bytes meanwhile
            self.delete(blob.key)
        return kept

    def begin_parts(self, key: str) -> str:
        """Make room for parts of an object; the storage's id of them."""
        with storage_errors():
            return self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def join_parts(self, key: str, storage_id: str, etags: Sequence[str]) -> None:
        """Make an object of its parts, given by their tags from the first on."""
        joined = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        with storage_errors():
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                UploadId=storage_id,
                MultipartUpload={"Parts": joined},  # type: ignore[typeddict-item]
            )

    def abort_parts(self, key: str, storage_id: str) -> None:
        """Drop the parts of an object that is not to be. No error when there are none."""
        with storage_errors():
            try:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=storage_id)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
                    raise

    def unjoined_parts(self, before: datetime) -> Iterator[tuple[str, str]]:
        """Keys of objects whose parts were begun before then and never joined, with the storage's ids of them."""
        pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix="blobs/")
        with storage_errors():
            for page in pages:
                for one in page.get("Uploads", ()):
                    if one["Initiated"] < before:
                        yield one["Key"], one["UploadId"]

    def fetch(self, blob: StoredBlob, target: Path) -> None:
        """Write a blob to `target`, which appears only when the bytes have the right hash.

        Raises: ArtifactLostError for a missing or damaged object; UnavailableError when storage is silent.
        """
        partial = target.with_name(f".{target.name}.{new_id('part')}")
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with partial.open("wb") as file:
                for chunk in self.read(blob):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != blob.sha256:
                raise ArtifactLostError(target.name, blob.sha256)
            partial.rename(target)
        except ArtifactLostError as error:
            raise ArtifactLostError(target.name, blob.sha256) from error
        finally:
            partial.unlink(missing_ok=True)

    def read(self, blob: StoredBlob, start: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        """The bytes of a blob from `start` in chunks. The hash is not checked: `fetch` does that.

        Of one that lies gzipped all before `start` is read too.
        """
        if blob.bytes == 0:
            return
        if blob.is_gzipped:
            try:
                yield from clipped(gunzipped(self._object(blob, "bytes=0-"), blob.bytes), start, length)
            except GunzipError as error:
                raise ArtifactLostError(blob.key, blob.sha256) from error
            return
        end = "" if length is None else str(start + length - 1)
        yield from self._object(blob, f"bytes={start}-{end}")

    def read_stored(self, blob: StoredBlob) -> Iterator[bytes]:
        """The object as it lies in storage, gzipped or not."""
        if blob.bytes == 0 and not blob.is_gzipped:
            return
        yield from self._object(blob, "bytes=0-")

    def _object(self, blob: StoredBlob, reach: str) -> Iterator[bytes]:
        with storage_errors(blob):
            body = self._client.get_object(Bucket=self._bucket, Key=blob.key, Range=reach)["Body"]
            with contextlib.closing(body):  # a reader that stops early must not leave it to the garbage collector
                yield from body.iter_chunks(_CHUNK_BYTES)

    def delete(self, key: str) -> None:
        """Drop an object. No error when it is not there."""
        with storage_errors():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def check(self) -> None:
        """Raises UnavailableError unless the bucket answers."""
        with storage_errors():
            self._client.head_bucket(Bucket=self._bucket)


def _new_key(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}/{new_id('obj')}"


def file_sha256(path: Path) -> str:
    """The hex SHA-256 of a file, read in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def touch(session: Session, sha256: str) -> StoredBlob | None:
    """Note that a blob is about to be used again; None when there is none, or its object was lost."""
    row = session.execute(
        sa.update(Blob)
        .where(Blob.sha256 == sha256, Blob.lost_at.is_(None))
        .values(last_used_at=sa.func.clock_timestamp())
        .returning(Blob.sha256, Blob.bytes, Blob.key)
    ).one_or_none()
    return None if row is None else StoredBlob(row.sha256, row.bytes, row.key)


def mark_lost(session: Session, sha256: str) -> None:
    """Note that a blob's object is gone or damaged: whoever stores the same bytes next uploads them anew."""
    session.execute(sa.update(Blob).where(Blob.sha256 == sha256).values(lost_at=sa.func.clock_timestamp()))


def collect(session: Session, unused_s: float, limit: int = 500) -> Sequence[str]:
    """Delete blob rows that nothing refers to and nobody used for `unused_s`; note their objects.

    The rows are locked and looked at again after the lock, so a writer that touched one meanwhile keeps it.
    Returns the keys that were noted.
    """
    rows = session.execute(
        sa.text(
            """
            WITH doomed AS (
                SELECT b.sha256 FROM blobs b
                WHERE b.last_used_at < clock_timestamp() - make_interval(secs => :unused_s)
                  AND NOT EXISTS (SELECT 1 FROM manifest_entries e WHERE e.sha256 = b.sha256)
                  AND NOT EXISTS (SELECT 1 FROM files f WHERE f.sha256 = b.sha256)
                ORDER BY b.last_used_at LIMIT :limit FOR UPDATE SKIP LOCKED
            ), gone AS (
                DELETE FROM blobs b USING doomed d WHERE b.sha256 = d.sha256
                  AND b.last_used_at < clock_timestamp() - make_interval(secs => :unused_s)
                RETURNING b.key, b.sha256
            )
            INSERT INTO blob_deletions (key, sha256) SELECT key, sha256 FROM gone RETURNING key
            """
        ),
        {"unused_s": unused_s, "limit": limit},
    )
    return [row.key for row in rows]


def _insert(session: Session, blob: StoredBlob) -> StoredBlob:
    """The blob as it is kept: the row that was there, unless its object was lost; then its key is replaced."""
    values = {"sha256": blob.sha256, "key": blob.key, "bytes": blob.bytes}
    lost_key = session.scalar(
        sa.select(Blob.key).where(Blob.sha256 == blob.sha256, Blob.lost_at.is_not(None)).with_for_update()
    )
    row = session.execute(
        sa.text(
            """
            INSERT INTO blobs AS b (sha256, key, bytes, last_used_at)
            VALUES (:sha256, :key, :bytes, clock_timestamp())
            ON CONFLICT (sha256) DO UPDATE SET last_used_at = clock_timestamp(), lost_at = NULL,
                key = CASE WHEN b.lost_at IS NULL THEN b.key ELSE excluded.key END
            RETURNING sha256, bytes, key
            """
        ),
        values,
    ).one()
    if lost_key is not None:
        session.add(BlobDeletion(key=lost_key, sha256=blob.sha256))
    return StoredBlob(row.sha256, row.bytes, row.key)


@contextlib.contextmanager
def storage_errors(blob: StoredBlob | None = None) -> Iterator[None]:
    """Around calls of the storage's client: what goes wrong is an UnavailableError, or the loss of this blob."""
    try:
        yield
    except ClientError as error:
        if blob is not None and error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            raise ArtifactLostError(blob.key, blob.sha256) from error
        raise UnavailableError("storage_unavailable", retry_after_s=5) from error
    except (BotoCoreError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise  # a full or missing local disk is not the storage's fault
        raise UnavailableError("storage_unavailable", retry_after_s=5) from error
    except Exception as error:
        # boto3 wraps what went wrong in a transfer thread.
        if type(error).__module__.startswith(("boto3", "s3transfer", "urllib3")):
            raise UnavailableError("storage_unavailable", retry_after_s=5) from error
        raise
