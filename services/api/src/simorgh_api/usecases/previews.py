"""Reads rows and bytes of dataset versions from storage. No session is open meanwhile."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import datasets
from simorgh_shared.datasets.rows import BOM, RowSchema, typed_decoder
from simorgh_shared.db.models import Dataset, DatasetVersion
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError, UnavailableError
from simorgh_shared.schemas.datasets import PreviewView
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob, mark_lost

_SPLIT_FILES = ("train.jsonl", "test.jsonl")
_FIRST_WINDOW_BYTES = 65_536  # the first rows of most files
_WINDOW_BYTES = 1 << 20
_MAX_PREVIEW_BYTES = 4 << 20  # one row may have as many, and a hundred may be asked for


@dataclass(frozen=True)
class Source:
    """A version and where its files lie."""

    dataset: Dataset
    version: DatasetVersion
    splits: Mapping[str, StoredBlob]
    """The train split first."""


def find(sessions: sessionmaker[Session], project_id: str, dataset_id: str, version: int | None) -> Source:
    """Look a version up, the newest where none is named.

    Raises: NotFoundError.
    """
    with sessions() as session:
        dataset, found = datasets.get(session, project_id, dataset_id, version)
        entries = manifests.find(session, found.manifest_id, _SPLIT_FILES)
    stored = {entry.path.removesuffix(".jsonl"): entry.blob for entry in entries}
    return Source(dataset, found, dict(sorted(stored.items(), key=lambda item: item[0] != "train")))


def open_clip(
    sessions: sessionmaker[Session], store: BlobStore, source: Source, clip: str
) -> tuple[int, Iterator[bytes]]:
    """The size of a clip of an audio set and its bytes, as `open_split` gives them.

    Raises: NotFoundError where there is no such clip; UnavailableError as in `preview`.
    """
    path = f"clips/{clip}"
    with sessions() as session:
        entries = manifests.find(session, source.version.manifest_id, [path])
    if not entries:
        raise NotFoundError(
            "dataset_no_clip", dataset_id=source.dataset.id, version=source.version.version, clip=clip[:80]
        )
    return _opened(sessions, store, source, entries[0].blob)


def preview(sessions: sessionmaker[Session], store: BlobStore, source: Source, limit: int, offset: int) -> PreviewView:
    """At most `limit` rows from `offset` on, over both splits; no more is read than that takes.

    Raises: UnavailableError when storage is silent or has lost the bytes.
    """
    with _telling_loss(sessions, source):
        samples = list(_samples(store, source, limit, offset))
    return PreviewView(
        samples=samples, total=source.version.rows, limit=limit, offset=offset, version=source.version.version
    )


def open_split(
    sessions: sessionmaker[Session], store: BlobStore, source: Source, split: str
) -> tuple[int, Iterator[bytes]]:
    """The size of a split and its bytes; the first have come, so that the answer can still be an error.

    Raises: InvalidInputError where there is no such split; UnavailableError as in `preview`.
    """
    blob = source.splits.get(split)
    if blob is None:
        raise InvalidInputError("invalid_parameter", name="split", value=split, reason="this dataset has no such split")
    return _opened(sessions, store, source, blob)


def _opened(
    sessions: sessionmaker[Session], store: BlobStore, source: Source, blob: StoredBlob
) -> tuple[int, Iterator[bytes]]:
    chunks = store.read(blob)
    with _telling_loss(sessions, source):
        first = next(chunks, b"")
    return blob.bytes, itertools.chain([first], chunks)


def _samples(store: BlobStore, source: Source, limit: int, offset: int) -> Iterator[dict[str, Any]]:
    decoder = typed_decoder(RowSchema(source.version.row_schema), source.version.columns)
    counts = {split["split"]: split["rows"] for split in source.version.splits}
    num_taken, num_bytes, skip = 0, 0, offset
    for split, blob in source.splits.items():
        if skip >= counts.get(split, source.version.rows):
            skip -= counts.get(split, source.version.rows)
            continue
        for line in itertools.islice(_lines(store, blob), skip, None):
            num_bytes += len(line)
            if num_taken and num_bytes > _MAX_PREVIEW_BYTES:
                return
            try:
                yield msgspec.to_builtins(decoder.decode(line))
            except (ValueError, RecursionError) as error:  # it was good when it was stored
                raise ArtifactLostError(split, blob.sha256) from error
            num_taken += 1
            if num_taken == limit:
                return
        skip = 0


def _lines(store: BlobStore, blob: StoredBlob) -> Iterator[bytes]:
    """The rows of a canonical file, undecoded."""
    rest = b""
    for window in itertools.chain(_windows(store, blob), [b"\n"]):
        *lines, rest = (rest + window).split(b"\n")
        yield from (line for line in lines if line and not line.isspace())


def _windows(store: BlobStore, blob: StoredBlob) -> Iterator[bytes]:
    """A file piece by piece, each asked for when it is needed: whoever stops leaves no transfer open."""
    if blob.is_gzipped:  # it has no middle to begin at
        with contextlib.closing(store.read(blob)) as chunks:
            yield next(chunks, b"").removeprefix(BOM)
            yield from chunks
        return
    start, length = 0, _FIRST_WINDOW_BYTES
    while start < blob.bytes:
        window = b"".join(store.read(blob, start, length))
        yield window.removeprefix(BOM) if start == 0 else window
        start, length = start + length, _WINDOW_BYTES


@contextlib.contextmanager
def _telling_loss(sessions: sessionmaker[Session], source: Source) -> Iterator[None]:
    try:
        yield
    except ArtifactLostError as error:
        if error.sha256 is not None:
            with sessions.begin() as session:
                mark_lost(session, error.sha256)
        raise UnavailableError("dataset_lost", dataset_id=source.dataset.id) from error
