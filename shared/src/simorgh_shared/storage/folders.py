"""Folders of manifests kept on this machine: fetched once, each file checked against its hash before it is used."""

import contextlib
import errno
import shutil
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, file_sha256
from simorgh_shared.storage.manifests import Entry, materialise

_Signature = tuple[tuple[int, int, int], ...]


class FolderCache:
    """Safe to share between threads and processes: a folder appears whole or not at all."""

    def __init__(self, store: BlobStore, cache_dir: Path) -> None:
        self._store = store
        self._cache_dir = cache_dir
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # a folder is fetched once
        self._checked: dict[str, _Signature] = {}

    def folder(self, name: str, files: Sequence[Entry], *, trust_unchanged: bool = False) -> Path:
        """Fetch what is missing or damaged, and return the folder.

        `trust_unchanged` hashes a folder again only where its files' times, sizes or inodes are not those that were
        checked: for callers who ask with every request.

        Raises: ArtifactLostError for a file that is missing or damaged in storage; UnavailableError.
        """
        target = self._cache_dir / name
        with self._locks[name]:
            if trust_unchanged and name in self._checked and _signature(target, files) == self._checked[name]:
                return target
            if not (target.is_dir() and all(_is_whole(target, entry) for entry in files)):
                self._fetch(target, files)
            signature = _signature(target, files)
            if signature is not None:
                self._checked[name] = signature
        return target

    def cached(self) -> Mapping[str, float]:
        """The folders that lie here, and when each came (Unix seconds)."""
        found = {}
        with contextlib.suppress(FileNotFoundError):  # the cache is not made yet, or a damaged folder goes just now
            for path in sorted(self._cache_dir.iterdir()):
                if not path.name.startswith("."):
                    found[path.name] = path.stat().st_mtime
        return found

    def _fetch(self, target: Path, files: Sequence[Entry]) -> None:
        partial = self._cache_dir / f".{new_id('part')}"
        try:
            for entry in files:
                self._fetch_file(entry, partial)
            if target.is_dir():
                shutil.rmtree(target)
            try:
                partial.rename(target)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise  # else another process was quicker, with the same bytes
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _fetch_file(self, entry: Entry, folder: Path) -> None:
        try:
            materialise(self._store, [entry], folder)
        except ArtifactLostError as error:  # which knows the name alone
            raise ArtifactLostError(entry.path, entry.blob.sha256) from error


def _signature(folder: Path, files: Sequence[Entry]) -> _Signature | None:
    try:
        found = [(folder / entry.path).stat() for entry in files]
    except OSError:
        return None
    return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in found)


def _is_whole(folder: Path, entry: Entry) -> bool:
    path = folder / entry.path
    return path.is_file() and path.stat().st_size == entry.blob.bytes and file_sha256(path) == entry.blob.sha256
