"""The files of a model version: what is signed of them, and all of them as one archive (R-MODEL-2)."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import models, stored
from simorgh_api.usecases.lineage import graph
from simorgh_shared.attestation import SigningKey
from simorgh_shared.db.models import ModelVersion
from simorgh_shared.domain.errors import AppError
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, mark_lost
from simorgh_shared.storage.manifests import Entry

_HASH = "SIMORGH.sha256"  # a keyword of our own in the archive's extended headers
_FOREIGN_KEYS = {"name", "deleted"}


@dataclass(frozen=True)
class Folder:
    """A version and its files."""

    version_id: str
    name: str
    number: int
    entries: Sequence[Entry]


def find(session: Session, project_id: str, name: str) -> Folder:
    """The files of the version that a name means.

    Raises: NotFoundError.
    """
    version = session.get_one(ModelVersion, models.resolve(session, project_id, name))
    model = models.get(session, project_id, version.model_id)
    return Folder(version.id, model.name, version.version, manifests.entries(session, version.manifest_id))


def signed(session: Session, project_id: str, name: str, key: SigningKey) -> dict[str, Any]:
    """The signed statement of which files a version has and what it was made from. It never changes.

    Raises: NotFoundError.
    """
    folder = find(session, project_id, name)
    lineage = graph.upstream(session, project_id, folder.version_id).model_dump(mode="json")
    # What may change is left out: names, and whether something was taken away since.
    lineage["nodes"] = [
        {field: value for field, value in node.items() if field not in _FOREIGN_KEYS} for node in lineage["nodes"]
    ]
    return key.sign({entry.path: entry.blob.sha256 for entry in folder.entries}, lineage)


def archive(sessions: sessionmaker[Session], blobs: BlobStore, folder: Folder) -> tuple[int, Iterator[bytes]]:
    """All files as a tar archive: its size, and its bytes as they come from storage.

    Raises: AppError `model_damaged` for a file that storage has lost, UnavailableError when storage is silent.
    """
    gone = stored.missing(blobs, [entry.blob for entry in folder.entries])
    for entry in folder.entries:
        if entry.blob.key in gone:
            raise _damaged(sessions, folder, entry)
    heads = [_head(entry) for entry in folder.entries]
    size = sum(len(head) + _padded(entry.blob.bytes) for head, entry in zip(heads, folder.entries, strict=True))
    return size + 2 * tarfile.BLOCKSIZE, _pieces(sessions, blobs, folder, heads)


def _pieces(
    sessions: sessionmaker[Session], blobs: BlobStore, folder: Folder, heads: Sequence[bytes]
) -> Iterator[bytes]:
    for head, entry in zip(heads, folder.entries, strict=True):
        yield head
        try:
            yield from blobs.read(entry.blob)
        except ArtifactLostError as error:  # lost since it was looked for: the answer breaks off, and its length tells
            raise _damaged(sessions, folder, entry) from error
        yield bytes(_padded(entry.blob.bytes) - entry.blob.bytes)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _head(entry: Entry) -> bytes:
    member = tarfile.TarInfo(entry.path)
    member.size = entry.blob.bytes
    member.mode = 0o644
    member.pax_headers = {_HASH: entry.blob.sha256}
    return member.tobuf(tarfile.PAX_FORMAT)


def _padded(num_bytes: int) -> int:
    return -(-num_bytes // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _damaged(sessions: sessionmaker[Session], folder: Folder, entry: Entry) -> AppError:
    with sessions.begin() as session:
        mark_lost(session, entry.blob.sha256)
    return AppError("model_damaged", model=folder.version_id, path=entry.path)
