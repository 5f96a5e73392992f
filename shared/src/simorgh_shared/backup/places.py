"""Where backups lie: a folder, or a prefix of an S3 bucket. A file appears there whole or not at all."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage.blobs import storage_errors
from simorgh_shared.storage.s3 import make_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK_BYTES = 1 << 20
_PART_BYTES = 16 << 20
_MAX_PARTS = 10_000  # of one object in S3
_PARTIAL = ".partial"


class Place(Protocol):
    """Files by names with `/`."""

    def put(self, name: str, chunks: Iterable[bytes], about_bytes: int = 0) -> int:
        """Write a file, or replace it; the number of bytes. What `chunks` raises leaves nothing of it behind."""

    def read(self, name: str) -> Iterator[bytes]:
        """The bytes of a file in chunks.

        Raises: NotFoundError.
        """

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names that begin so, with the files' sizes, in no order."""

    def delete(self, name: str) -> None:
        """Drop a file. No error when it is not there."""

    def sweep(self) -> None:
        """Drop what a backup that died left half-written."""


class FolderPlace:
    """A folder that only its owner can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    def put(self, name: str, chunks: Iterable[bytes], about_bytes: int = 0) -> int:
        """See `Place`. The bytes are on the disk before the name is."""
        del about_bytes
        target = self._folder / name
        partial = self._folder / _PARTIAL / name.replace("/", "_")
        for folder in (partial.parent, target.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with open(partial, "wb", opener=_private) as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                num_bytes = file.tell()
            partial.replace(target)
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)
        return num_bytes

    def read(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        try:
            with (self._folder / name).open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        except FileNotFoundError as error:
            raise NotFoundError("backup_file_missing", name=name) from error

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Place`; of a prefix that ends in `/`."""
        for folder, _, names in os.walk(self._folder / prefix):
            for name in names:
                path = Path(folder, name)
                yield str(PurePosixPath(path.relative_to(self._folder))), path.stat().st_size

    def delete(self, name: str) -> None:
        """See `Place`; empty folders go with their last file."""
        path = self._folder / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            for folder in itertools.takewhile(lambda folder: folder != self._folder, path.parents):
                folder.rmdir()

    def sweep(self) -> None:
        """See `Place`."""
        shutil.rmtree(self._folder / _PARTIAL, ignore_errors=True)


class BucketPlace:
    """A prefix of an S3 bucket."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client = client
        self.bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self._prefix}"

    def put(self, name: str, chunks: Iterable[bytes], about_bytes: int = 0) -> int:
        """See `Place`. An object of several parts is joined at its end only."""
        reader = _Reader(iter(chunks))
        part_bytes = max(_PART_BYTES, -(-about_bytes // (_MAX_PARTS - 1)))
        with storage_errors():
            self._client.upload_fileobj(
                reader,  # type: ignore[arg-type]  # it asks for nothing else of a file
                self.bucket,
                self._prefix + name,
                Config=TransferConfig(
                    multipart_threshold=part_bytes, multipart_chunksize=part_bytes, use_threads=False
                ),
            )
        return reader.num_bytes

    def read(self, name: str) -> Iterator[bytes]:
        """See `Place`."""
        with storage_errors():
            try:
                body = self._client.get_object(Bucket=self.bucket, Key=self._prefix + name)["Body"]
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                    raise NotFoundError("backup_file_missing", name=name) from error
                raise
            with contextlib.closing(body):
                yield from body.iter_chunks(_CHUNK_BYTES)

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """See `Place`."""
        pages = self._client.get_paginator("list_objects_v2")
        with storage_errors():
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._prefix + prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"].removeprefix(self._prefix), found["Size"]

    def delete(self, name: str) -> None:
        """See `Place`."""
        with storage_errors():
            self._client.delete_object(Bucket=self.bucket, Key=self._prefix + name)

    def sweep(self) -> None:
        """See `Place`: parts of objects that were never joined."""
        with storage_errors():
            begun = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=self._prefix)
            for one in begun.get("Uploads", ()):
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=one["Key"], UploadId=one["UploadId"])


def open_place(address: str, storage: StorageSettings) -> Place:
    """The place of an address: `s3://BUCKET/PREFIX`, or a folder.

    Raises: InvalidInputError for an address without a bucket, and for one of a file.
    """
    if not address.startswith("s3://"):
        folder = Path(address).expanduser().resolve()
        if folder.exists() and not folder.is_dir():
            raise InvalidInputError("backup_no_folder", address=address)
        return FolderPlace(folder)
    parsed = urlsplit(address)
    if not parsed.netloc:
        raise InvalidInputError("backup_address", address=address)
    return BucketPlace(make_client(storage), parsed.netloc, parsed.path.strip("/"))


class _Reader:
    """Chunks as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._waiting = bytearray()
        self.num_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """So many bytes, less only at the end."""
        while size < 0 or len(self._waiting) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._waiting += chunk
        taken = bytes(self._waiting if size < 0 else self._waiting[:size])
        del self._waiting[: len(taken)]
        self.num_bytes += len(taken)
        return taken


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
