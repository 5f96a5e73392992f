"""Models from the registry: PostgreSQL names the files, storage holds them, the cache is checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy.orm import Session, sessionmaker

from simorgh_inference.registry import RegistrySource
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.db.models import Model, ModelVersion, Project
from simorgh_shared.domain.errors import AppError, NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore, file_sha256
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.storage.s3 import make_client
from tests.support.inference import InferenceServer
from tests.support.stack import Bucket, Database


@dataclass(frozen=True)
class Registry:
    """What a model is stored in."""

    sessions: sessionmaker[Session]
    store: BlobStore

    def add(self, folder: Path) -> str:
        """Store a folder as a model version; its id."""
        stored = [
            Entry(path.name, self.store.put(self.sessions, path)) for path in sorted(folder.iterdir()) if path.is_file()
        ]
        with self.sessions.begin() as session:
            project = Project(id=new_id("proj"), name="birds")
            model = Model(id=new_id("mdl"), project_id=project.id, name="noise")
            session.add(project)
            session.flush()
            session.add(model)
            session.flush()
            version = ModelVersion(
                id=new_id("mver"),
                model_id=model.id,
                version=1,
                kind="tuned",
                format="safetensors",
                manifest_id=manifests.create(session, "model", stored),
                bytes=sum(entry.blob.bytes for entry in stored),
            )
            session.add(version)
            return version.id


@pytest.fixture(scope="module")
def registry(database: Database, bucket: Bucket) -> Iterator[Registry]:
    engine = make_engine(database.url, pool_size=2)
    settings = StorageSettings(
        s3_endpoint_url=bucket.endpoint_url,
        s3_access_key_id=bucket.access_key_id,
        s3_secret_access_key=bucket.secret_access_key,
        s3_bucket=bucket.name,
        s3_region=bucket.region,
    )
    client = make_client(settings)
    yield Registry(make_sessions(engine), BlobStore(client, bucket.name))
    client.close()
    engine.dispose()


@pytest.fixture
def source(registry: Registry, tmp_path: Path) -> RegistrySource:
    return RegistrySource(registry.sessions, registry.store, tmp_path / "cache")


def same(folder: Path, model_folder: Path) -> bool:
    files = {path.name: file_sha256(path) for path in folder.iterdir()}
    return files == {path.name: file_sha256(path) for path in model_folder.iterdir()}


class TestRegistrySource:
    def test_a_folder_is_the_one_that_was_stored(
        self, registry: Registry, source: RegistrySource, model_folder: Path
    ) -> None:
        version_id = registry.add(model_folder)
        assert same(source.folder(version_id), model_folder)
        assert source.cached() == [version_id]

    def test_a_damaged_file_in_the_cache_is_fetched_again(
        self, registry: Registry, source: RegistrySource, model_folder: Path
    ) -> None:
        version_id = registry.add(model_folder)
        weights = source.folder(version_id) / "model.safetensors"
        damaged = bytearray(weights.read_bytes())
        damaged[-1] ^= 1
        weights.write_bytes(damaged)
        assert same(source.folder(version_id), model_folder)

    def test_a_damaged_object_is_refused_and_not_cached(
        self, registry: Registry, source: RegistrySource, model_folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "other").mkdir()
        path = tmp_path / "other" / "config.json"
        path.write_text('{"only": "here"}')
        version_id = registry.add(path.parent)
        blob = registry.store.put(registry.sessions, path)
        registry.store.client.put_object(Bucket=registry.store.bucket, Key=blob.key, Body=b'{"only": "harm"}')
        with pytest.raises(AppError, match=r"config\.json\) is missing or damaged") as refused:
            source.folder(version_id)
        assert refused.value.code == "artifact_lost"
        assert source.cached() == []

    def test_a_model_that_there_is_not(self, source: RegistrySource) -> None:
        with pytest.raises(NotFoundError, match="There is no model mver_none"):
            source.folder("mver_none")


class TestServer:
    def test_it_answers_with_a_model_of_the_registry(
        self,
        registry: Registry,
        serve: Callable[..., InferenceServer],
        model_folder: Path,
        database: Database,
        bucket: Bucket,
        tmp_path: Path,
    ) -> None:
        """R-CHAT-1: by the version's id; an unknown one is 404."""
        version_id = registry.add(model_folder)
        variables = {"SIMORGH_DATABASE_URL": database.url, "SIMORGH_CACHE_DIR": str(tmp_path / "cache")}
        server = serve(**variables, **bucket.environment())
        body = {"model": version_id, "messages": [{"role": "user", "content": "سلام"}], "max_tokens": 4}
        given = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
        assert given.status_code == 200, given.text
        assert given.json()["model"] == version_id
        assert list(server.loaded()) == [version_id]
        unknown = httpx.post(f"{server.url}/v1/chat/completions", json=body | {"model": "none"}, timeout=60)
        assert unknown.status_code == 404
        assert unknown.json()["error"]["code"] == "model_not_found"
