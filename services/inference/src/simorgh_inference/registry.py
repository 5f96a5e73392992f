"""Where model folders come from: the registry through a hash-checked local cache, or one folder that was named."""

import shutil
from pathlib import Path
from typing import Protocol

from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import ModelVersion
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, file_sha256
from simorgh_shared.storage.manifests import Entry


class ModelSource(Protocol):
    """Finds the folder of a model."""

    def folder(self, model: str) -> Path:
        """The complete folder; raises NotFoundError for a model that there is not."""
        ...

    def cached(self) -> list[str]:
        """Models whose folder lies here."""
        ...


class FolderSource:
    """One local folder, with no database and no storage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, model: str) -> Path:
        """The folder, whatever name the client uses."""
        del model
        return self._folder

    def cached(self) -> list[str]:
        """The folder's name."""
        return [self._folder.name]


class RegistrySource:
    """Model versions by their manifests. Every file is checked against its hash each time a model is loaded."""

    def __init__(self, sessions: sessionmaker[Session], store: BlobStore, cache_dir: Path) -> None:
        self._sessions = sessions
        self._store = store
        self._cache_dir = cache_dir

    def folder(self, model: str) -> Path:
        """Fetch what is missing or damaged, and return the folder.

        Raises: NotFoundError, or InvalidInputError when an object is gone or damaged in storage.
        """
        with self._sessions() as session:
            version = session.get(ModelVersion, model)
            files = manifests.entries(session, version.manifest_id) if version is not None else []
        if not files:
            raise NotFoundError("model_not_found", model=model)
        target = self._cache_dir / model
        if target.is_dir():
            if all(_is_whole(target, entry) for entry in files):
                return target
            shutil.rmtree(target)
        partial = self._cache_dir / f".{new_id('part')}"
        try:
            manifests.materialise(self._store, files, partial)
            partial.rename(target)
        except ArtifactLostError as error:
            raise InvalidInputError("artifact_lost", path=error.path) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return target

    def cached(self) -> list[str]:
        """Versions whose folder lies in the cache."""
        if not self._cache_dir.is_dir():
            return []
        return sorted(path.name for path in self._cache_dir.iterdir() if not path.name.startswith("."))


def _is_whole(folder: Path, entry: Entry) -> bool:
    path = folder / entry.path
    return path.is_file() and path.stat().st_size == entry.blob.bytes and file_sha256(path) == entry.blob.sha256
