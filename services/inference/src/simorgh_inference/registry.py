"""Where model folders come from: the registry through a hash-checked local cache, or one folder that was named."""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from simorgh_inference import trimming
from simorgh_shared import health
from simorgh_shared.db.engine import make_sessions
from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.domain.errors import AppError, InvalidInputError, NotFoundError, UnavailableError
from simorgh_shared.logging import cause
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore
from simorgh_shared.storage.folders import FolderCache
from simorgh_shared.storage.manifests import Entry

log = structlog.get_logger()
_RETRY_AFTER_S = 5
_BASE = "base/"  # where an adapter has it
_SERVED_FORMATS = ("safetensors", "openvino", "onnx", "gguf")


class ModelSource(Protocol):
    """Finds the folder of a model."""

    def name(self, model: str) -> str:
        """The one name of a model that clients may call by several."""
        ...

    def folder(self, model: str) -> Path:
        """The complete folder; raises NotFoundError for a model that there is not."""
        ...

    def weights(self, model: str) -> str | None:
        """What tells the files of a model from those of all others, its base's where it is an adapter; None for a
        folder that may change."""
        ...

    def derived(self, model: str) -> Path | None:
        """Where what is made of a model may be kept; None for a folder that may change."""
        ...

    def trim(self, in_use: Collection[str], unused_s: float) -> list[str]:
        """Remove what is kept of models that are gone or unused for so long, but of those in use; their names."""
        ...

    def cached(self) -> Mapping[str, float]:
        """Models whose folder lies here, and when it came (Unix seconds)."""
        ...

    def parts(self) -> Mapping[str, health.Check]:
        """What it needs, each with a check that says `ok` or what is wrong. A check may block."""
        ...


class FolderSource:
    """One local folder, with no database and no storage."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.abspath(folder))  # `.` has no name; a link keeps its own

    def name(self, model: str) -> str:
        """The folder's, whatever name the client uses."""
        del model
        return self._folder.name

    def folder(self, model: str) -> Path:
        """The folder."""
        del model
        return self._folder

    def weights(self, model: str) -> str | None:
        """Nothing."""
        del model
        return None

    def derived(self, model: str) -> Path | None:
        """Nowhere."""
        del model
        return None

    def trim(self, in_use: Collection[str], unused_s: float) -> list[str]:
        """Nothing: the folder is its owner's."""
        del in_use, unused_s
        return []

    def cached(self) -> Mapping[str, float]:
        """The folder, where it holds a model."""
        for name in ("config.json", "adapter_config.json"):
            config = self._folder / name
            if config.is_file():
                return {self._folder.name: config.stat().st_mtime}
        return {}

    def parts(self) -> Mapping[str, health.Check]:
        """The folder."""
        return {"folder": lambda: health.OK if self.cached() else "holds no config.json or adapter_config.json"}


class RegistrySource:
    """Model versions by their manifests. Every file is checked against its hash each time a model is loaded."""

    def __init__(self, engine: sa.Engine, store: BlobStore, cache_dir: Path) -> None:
        self._engine = engine
        self._sessions = make_sessions(engine)
        self._store = store
        self._cache_dir = cache_dir
        self._folders = FolderCache(store, cache_dir)

    def name(self, model: str) -> str:
        """The version's id, which is its only name here."""
        return model

    def folder(self, model: str) -> Path:
        """Fetch what is missing or damaged, and return the folder.

        Raises: NotFoundError; UnavailableError when database or storage do not answer; AppError `model_damaged` when
        an object is gone or damaged in storage.
        """
        try:
            folder = self._folders.folder(model, self._files(model))
            trimming.mark_used(self._cache_dir, model)
            return folder
        except ArtifactLostError as error:
            log.error("model_damaged", model=model, path=error.path)
            raise AppError("model_damaged", model=model, path=error.path) from error

    def weights(self, model: str) -> str | None:
        """A hash of their paths and hashes."""
        files = [(entry.path, entry.blob.sha256) for entry in self._files(model)]
        base = [(path.removeprefix(_BASE), digest) for path, digest in files if path.startswith(_BASE)]
        return hashlib.sha256(json.dumps(sorted(base or files)).encode()).hexdigest()

    def derived(self, model: str) -> Path | None:
        """A folder of the cache that is no model."""
        return self._cache_dir / trimming.DERIVED / model

    def trim(self, in_use: Collection[str], unused_s: float) -> list[str]:
        """Remove folders and conversions of versions that are deleted or were not loaded for so long.

        Raises: UnavailableError when the database does not answer.
        """
        return trimming.trim(self._cache_dir, self._living, in_use, unused_s)

    def cached(self) -> Mapping[str, float]:
        """Versions whose folder lies in the cache."""
        return self._folders.cached()

    def parts(self) -> Mapping[str, health.Check]:
        """Database and storage."""
        return {"database": health.database(self._engine), "storage": health.storage(self._store)}

    def _living(self, models: Collection[str]) -> Collection[str]:
        query = sa.select(ModelVersion.id).join(Model, Model.id == ModelVersion.model_id)
        with _database_errors(), self._sessions() as session:
            return session.scalars(query.where(ModelVersion.id.in_(models), Model.deleted_at.is_(None))).all()

    def _files(self, model: str) -> Sequence[Entry]:
        with _database_errors(), self._sessions() as session:
            version = session.get(ModelVersion, model)
            if version is not None and (version.format not in _SERVED_FORMATS or version.kind == "speech"):
                needed = "chats need text, as safetensors, OpenVINO IR, ONNX or GGUF"
                reason = f"it is of kind {version.kind}, kept as {version.format}; {needed}"
                raise InvalidInputError("model_unservable", model=model, reason=reason)
            files = manifests.entries(session, version.manifest_id) if version is not None else []
        if not files:
            raise NotFoundError("model_not_found", model=model)
        return files


@contextlib.contextmanager
def _database_errors() -> Iterator[None]:
    """An outage becomes an answer that says so; a mistake in a statement stays what it is."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        is_outage = isinstance(error, OperationalError | InterfaceError | PoolTimeoutError)
        if not is_outage and not (isinstance(error, DBAPIError) and error.connection_invalidated):
            raise
        log.warning("database_unavailable", reason=cause(error))
        raise UnavailableError("database_unavailable", retry_after_s=_RETRY_AFTER_S) from error
