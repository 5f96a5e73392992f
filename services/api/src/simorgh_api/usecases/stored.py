"""Whether the objects that the database names really lie in storage."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.storage.blobs import BlobStore, StoredBlob

_THREADS = 8  # half of the connections that the storage's client keeps


def missing(store: BlobStore, blobs: Iterable[StoredBlob]) -> frozenset[str]:
    """The keys of those whose object is gone or has another size. Blocks; each object is asked for once.

    Raises: UnavailableError when the storage does not answer.
    """
    asked = {blob.key: blob for blob in blobs}
    with ThreadPoolExecutor(_THREADS, "stored") as threads:
        found = threads.map(lambda blob: _is_whole(store, blob), asked.values())
        return frozenset(key for key, is_whole in zip(asked, found, strict=True) if not is_whole)


def _is_whole(store: BlobStore, blob: StoredBlob) -> bool:
    try:
        head = store.client.head_object(Bucket=store.bucket, Key=blob.key)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "NotFound"):
            return False
        raise UnavailableError("storage_unavailable", retry_after_s=5) from error
    except (BotoCoreError, OSError) as error:
        raise UnavailableError("storage_unavailable", retry_after_s=5) from error
    # A gzip tells its length only when it is read, and is checked then.
    return blob.is_gzipped or head["ContentLength"] == blob.bytes
