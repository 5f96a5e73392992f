"""Files that clients send straight to storage, in parts, by addresses that were signed for them.

Their objects lie under `incoming/` and are nobody's blobs: a job has to look at them first. Every call asks the
storage, so no database session may be open meanwhile.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage.blobs import TRANSFER, storage_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MIN_PART_BYTES = 5 << 20
"""Less is refused by S3 for every part but the last."""
MAX_PART_BYTES = 5 << 30
MAX_PARTS = 10_000
_PREFIX = "incoming/"
_CHUNK_BYTES = _MIB = 1 << 20


@dataclass(frozen=True)
class Part:
    """A part that lies in storage."""

    number: int
    """From 1."""
    bytes: int
    etag: str


@dataclass(frozen=True)
class IncomingFile:
    """A whole file that no job has looked at: there is no hash of it that anyone vouches for."""

    name: str
    """Where it is to lie, as a plain file name of ours."""
    key: str
    bytes: int


def new_key(project_id: str) -> str:
    """A key that was never used, for one file."""
    return f"{_PREFIX}{project_id}/{new_id('in')}"


def choose_part_bytes(num_bytes: int, wanted: int | None, default: int) -> int:
    """The size of the parts of a file: as wanted, else the default, larger where that makes too many.

    Raises: InvalidInputError where what is wanted makes too many.
    """
    if wanted is None:
        least = -(-num_bytes // MAX_PARTS)
        return max(default, -(-least // _MIB) * _MIB)
    num_parts = -(-num_bytes // wanted)
    if num_parts > MAX_PARTS:
        reason = f"this makes {num_parts} parts of the file, and {MAX_PARTS} are the most"
        raise InvalidInputError("invalid_parameter", name="part_bytes", value=wanted, reason=reason)
    return wanted


def part_sizes(num_bytes: int, part_bytes: int) -> list[int]:
    """The size of each part of a file."""
    whole, rest = divmod(num_bytes, part_bytes)
    return [part_bytes] * whole + ([rest] if rest else [])


def compare_parts(parts: Sequence[Part], sizes: Sequence[int]) -> tuple[list[Part], list[int]]:
    """The parts that are as they have to be, and the numbers of the others."""
    good = [part for part in parts if part.number <= len(sizes) and part.bytes == sizes[part.number - 1]]
    have = {part.number for part in good}
    return good, [number for number in range(1, len(sizes) + 1) if number not in have]


class IncomingStore:
    """Begins, signs, counts, joins and drops. Safe to share between threads."""

    def __init__(self, client: "S3Client", signer: "S3Client", bucket: str) -> None:
        """`signer` is a client of the address at which those who send reach the storage."""
        self._client = client
        self._signer = signer
        self._bucket = bucket

    def begin(self, key: str) -> str:
        """Make room for parts; the storage's id of them."""
        with storage_errors():
            return self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]

    def signed(self, key: str, storage_id: str, sizes: Mapping[int, int], for_s: int) -> dict[int, str]:
        """Addresses that take a PUT of one part each, of exactly this size, for so long. Asks nobody."""
        return {
            number: self._signer.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "UploadId": storage_id,
                    "PartNumber": number,
                    "ContentLength": size,
                },
                ExpiresIn=for_s,
            )
            for number, size in sizes.items()
        }

    def parts(self, key: str, storage_id: str) -> list[Part] | None:
        """The parts that came, by number; None where the storage does not know of them (any more).

        SeaweedFS lists a part once for every time that it came whole, as where a client was killed and its bytes
        were still under way. Here the latest stands for all (to the second; where their bytes differ, the file's
        hash tells). To be joined a number may be named once only: SeaweedFS 4.48 deletes the bytes of a part that
        is named twice, and goes on serving the object until the volume is vacuumed.
        """
        pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=storage_id)
        with storage_errors():
            try:
                listed = [part for page in pages for part in page.get("Parts", ())]
            except ClientError as error:
                if _code(error) == "NoSuchUpload":
                    return None
                raise
        latest = {part["PartNumber"]: part for part in sorted(listed, key=lambda part: part["LastModified"])}
        return [Part(number, part["Size"], part["ETag"]) for number, part in sorted(latest.items())]

    def complete(self, key: str, storage_id: str, parts: Iterable[Part]) -> None:
        """Join the parts to one object. No error where somebody else has just done it."""
        joined = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with storage_errors():
            try:
                self._client.complete_multipart_upload(
                    Bucket=self._bucket,
                    Key=key,
                    UploadId=storage_id,
                    MultipartUpload={"Parts": joined},  # type: ignore[typeddict-item]
                )
            except ClientError as error:
                if _code(error) != "NoSuchUpload":
                    raise

    def size(self, key: str) -> int | None:
        """The size of a whole object; None where there is none."""
        with storage_errors():
            try:
                return self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
            except ClientError as error:
                if _code(error) in ("404", "NoSuchKey", "NotFound"):
                    return None
                raise

    def put(self, key: str, path: Path) -> None:
        """Send a file of this machine."""
        with storage_errors():
            self._client.upload_file(str(path), self._bucket, key, Config=TRANSFER)

    def fetch(self, file: IncomingFile, target: Path) -> str:
        """Write a file to `target`; the hash of what was written.

        Raises: NotFoundError for an object that is gone; UnavailableError when storage is silent.
        """
        digest = hashlib.sha256()
        target.parent.mkdir(parents=True, exist_ok=True)
        with storage_errors(), target.open("wb") as sink:
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=file.key)["Body"]
            except ClientError as error:
                if _code(error) in ("NoSuchKey", "404"):
                    raise NotFoundError("upload_lost", name=file.name) from error
                raise
            with contextlib.closing(body):
                for chunk in body.iter_chunks(_CHUNK_BYTES):
                    digest.update(chunk)
                    sink.write(chunk)
        return digest.hexdigest()

    def leftovers(self, before: datetime) -> Iterator[tuple[str, str | None]]:
        """Keys under `incoming/` from before then, each with the storage's id of its parts if it is not whole."""
        with storage_errors():
            for objects in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=_PREFIX):
                yield from ((one["Key"], None) for one in objects.get("Contents", ()) if one["LastModified"] < before)
            begun = self._client.get_paginator("list_multipart_uploads")
            for uploads in begun.paginate(Bucket=self._bucket, Prefix=_PREFIX):
                yield from (
                    (one["Key"], one["UploadId"]) for one in uploads.get("Uploads", ()) if one["Initiated"] < before
                )

    def drop(self, key: str, storage_id: str | None) -> None:
        """Drop the parts and the object. No error where there are none."""
        with storage_errors():
            if storage_id is not None:
                with _absence_ignored():
                    self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=storage_id)
            self._client.delete_object(Bucket=self._bucket, Key=key)


@contextlib.contextmanager
def _absence_ignored() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if _code(error) != "NoSuchUpload":
            raise


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
