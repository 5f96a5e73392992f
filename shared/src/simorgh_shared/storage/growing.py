"""Files that go to storage while they are still being written, before anyone knows whether they are any good.

A part is sent when it lies whole on the disk. Until `commit` nothing can be reached: the parts are no object, and
nobody but the writer knows their id. What a process leaves that dies in between, `BlobStore.drop_parts` finds.
"""

import threading
from pathlib import Path

import structlog
from s3transfer.utils import ReadFileChunk
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.gzipped import GZIP_SUFFIX
from simorgh_shared.storage.blobs import BlobStore, StoredBlob, storage_errors
from simorgh_shared.storage.incoming import MAX_PARTS

log = structlog.get_logger()
PART_BYTES = 5 << 20
"""The least that S3 takes: little remains to be sent when the file has ended."""
_READ_BYTES = 256 << 10


class GrowingBlob:
    """One file, the gzip of the bytes to be kept, on its way. `store` may run in several threads at once, the rest
    in one."""

    def __init__(self, blobs: BlobStore, path: Path, part_bytes: int = PART_BYTES) -> None:
        self._blobs = blobs
        self._path = path
        self._part_bytes = part_bytes
        self._key = f"blobs/sent/{new_id('obj')}{GZIP_SUFFIX}"  # the hash is not known yet
        self._storage_id: str | None = None
        self._num_claimed = 0
        self._etags: dict[int, str] = {}
        self._lock = threading.Lock()
        self._has_failed = False

    def claim(self, num_bytes: int, *, has_ended: bool = False) -> int | None:
        """The number of a part that is there and that nobody sends yet; None where there is none.

        `num_bytes` lie on the disk. The last part, which may be short, is one when the file has ended. A file
        shorter than one part, or longer than the storage joins, is not sent in parts at all.
        """
        begin = self._num_claimed * self._part_bytes
        is_there = begin + self._part_bytes <= num_bytes or (has_ended and 0 < begin < num_bytes)
        if self._has_failed or not is_there or self._num_claimed == MAX_PARTS:
            return None
        self._num_claimed += 1
        return self._num_claimed

    def store(self, number: int) -> None:
        """Send a part. Where that fails no more are sent: `commit` sends the whole file then."""
        try:
            with storage_errors():
                body = _Part.from_filename(
                    str(self._path), (number - 1) * self._part_bytes, self._part_bytes, enable_callbacks=False
                )
                with body:
                    answer = self._blobs.client.upload_part(
                        Bucket=self._blobs.bucket,
                        Key=self._key,
                        UploadId=self._begun(),
                        PartNumber=number,
                        Body=body,  # type: ignore[arg-type]
                    )
            self._etags[number] = answer["ETag"]
        except UnavailableError:
            self._has_failed = True
            log.warning("blob_part_failed", number=number)

    def commit(self, sessions: sessionmaker[Session], sha256: str, num_bytes: int) -> StoredBlob:
        """Make a blob of it: all of the file lies on the disk, and its bytes have this hash and size unpacked.

        Raises: UnavailableError when the storage does not answer; nothing is kept then.
        """
        size = self._path.stat().st_size
        covered = self._num_claimed * self._part_bytes
        try:
            if self._has_failed or not 0 < size <= covered:
                return self._blobs.put_gzipped(sessions, self._path, sha256, num_bytes)
            return self._blobs.keep(sessions, StoredBlob(sha256, num_bytes, self._key), self._join)
        finally:
            self.abort()  # nothing where the parts were joined

    def abort(self) -> None:
        """Drop what was sent. What the storage refuses now, it is asked for again by the dispatcher."""
        storage_id, self._storage_id = self._storage_id, None
        self._has_failed = True
        if storage_id is None:
            return
        try:
            self._blobs.abort_parts(self._key, storage_id)
        except UnavailableError:
            log.warning("blob_parts_left", key=self._key)

    def _begun(self) -> str:
        with self._lock:
            if self._storage_id is None:
                self._storage_id = self._blobs.begin_parts(self._key)
            return self._storage_id

    def _join(self) -> None:
        assert self._storage_id is not None
        self._blobs.join_parts(self._key, self._storage_id, [etag for _, etag in sorted(self._etags.items())])
        self._storage_id = None


class _Part(ReadFileChunk):
    """A part being read. http.client asks for 16 KiB at a time, and sends as much as it is given."""

    def read(self, amount: int | None = None) -> bytes:
        """The next bytes; at least a good piece of them."""
        read: bytes = super().read(amount if amount is None else max(amount, _READ_BYTES))
        return read
