"""Models from the registry: PostgreSQL names the files, storage holds them, the cache is checked."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_inference.registry import RegistrySource
from simorgh_shared.db.engine import make_engine, make_sessions
from simorgh_shared.db.models import Model, ModelVersion, Project
from simorgh_shared.domain.errors import AppError, NotFoundError, UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.settings import StorageSettings
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import BlobStore, file_sha256
from simorgh_shared.storage.manifests import Entry
from simorgh_shared.storage.s3 import make_client
from tests.support.inference import InferenceServer, ask, refusal
from tests.support.stack import Bucket, Database


@dataclass(frozen=True)
class Registry:
    """What a model is stored in."""

    engine: sa.Engine
    sessions: sessionmaker[Session]
    store: BlobStore

    def add(self, folder: Path) -> str:
        """Store a folder as a model version; its id."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        stored = [Entry(str(path.relative_to(folder)), self.store.put(self.sessions, path)) for path in files]
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
    yield Registry(engine, make_sessions(engine), BlobStore(client, bucket.name))
    client.close()
    engine.dispose()


@pytest.fixture
def source(registry: Registry, tmp_path: Path) -> RegistrySource:
    return RegistrySource(registry.engine, registry.store, tmp_path / "cache")


@pytest.fixture
def variables(database: Database, bucket: Bucket, tmp_path: Path) -> dict[str, str]:
    """What a server on the registry is told."""
    cache = {"SIMORGH_CACHE_DIR": str(tmp_path / "cache")}
    return {"SIMORGH_DATABASE_URL": database.url, **cache, **bucket.environment()}


@pytest.fixture
def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def other_folder(tmp_path: Path) -> Path:
    """One small file that no other model has, and one that sorts after it."""
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text(f'{{"only": "{new_id("here")}"}}')
    (folder / "later.json").write_text("{}")
    return folder


def damage(registry: Registry, path: Path) -> None:
    """Other bytes of the same length."""
    blob = registry.store.put(registry.sessions, path)
    registry.store.client.put_object(Bucket=registry.store.bucket, Key=blob.key, Body=path.read_bytes()[::-1])


def remove(registry: Registry, path: Path) -> None:
    """No object where the database says that there is one."""
    registry.store.delete(registry.store.put(registry.sessions, path).key)


def same(folder: Path, model_folder: Path) -> bool:
    files = {path.name: file_sha256(path) for path in folder.iterdir()}
    return files == {path.name: file_sha256(path) for path in model_folder.iterdir()}


class TestRegistrySource:
    def test_a_folder_is_the_one_that_was_stored(
        self, registry: Registry, source: RegistrySource, model_folder: Path
    ) -> None:
        version_id = registry.add(model_folder)
        assert same(source.folder(version_id), model_folder)
        assert list(source.cached()) == [version_id]

    def test_a_damaged_file_in_the_cache_is_fetched_again(
        self, registry: Registry, source: RegistrySource, model_folder: Path
    ) -> None:
        version_id = registry.add(model_folder)
        weights = source.folder(version_id) / "model.safetensors"
        damaged = bytearray(weights.read_bytes())
        damaged[-1] ^= 1
        weights.write_bytes(damaged)
        assert same(source.folder(version_id), model_folder)

    @pytest.mark.parametrize("harm", [damage, remove])
    def test_a_harmed_object_is_refused_and_not_cached(
        self,
        registry: Registry,
        source: RegistrySource,
        other_folder: Path,
        harm: Callable[[Registry, Path], None],
    ) -> None:
        """R-MODEL-1: the sentence names the file and not where it lies in storage."""
        version_id = registry.add(other_folder)
        harm(registry, other_folder / "config.json")
        for _ in range(2):
            with pytest.raises(
                AppError, match=rf"file config\.json of model {version_id} is missing or damaged"
            ) as refused:
                source.folder(version_id)
            assert (refused.value.code, refused.value.status) == ("model_damaged", 500)
            assert source.cached() == {}

    def test_a_database_that_does_not_answer(self, registry: Registry, closed_port: int, tmp_path: Path) -> None:
        """R-TRAIN-7: told apart from a mistake, and with when to try again."""
        engine = make_engine(f"postgresql+psycopg://nobody:x@127.0.0.1:{closed_port}/none")
        silent = RegistrySource(engine, registry.store, tmp_path)
        assert silent.parts()["database"]() == "does not answer"
        assert silent.parts()["storage"]() == "ok"
        with pytest.raises(UnavailableError) as outage:
            silent.folder("mver_any")
        assert (outage.value.code, outage.value.retry_after_s) == ("database_unavailable", 5)

    def test_a_database_whose_connections_are_all_taken(
        self, registry: Registry, database: Database, tmp_path: Path
    ) -> None:
        engine = sa.create_engine(database.url, pool_size=1, max_overflow=0, pool_timeout=0.1)
        busy = RegistrySource(engine, registry.store, tmp_path)
        with engine.connect(), pytest.raises(UnavailableError) as outage:
            busy.folder("mver_any")
        engine.dispose()
        assert outage.value.code == "database_unavailable"

    def test_adapters_are_known_by_their_base(
        self, registry: Registry, source: RegistrySource, other_folder: Path, tmp_path: Path
    ) -> None:
        """R-CHAT-4: whoever stored it, and whatever they are themselves."""
        adapters = []
        for number in range(2):
            folder = tmp_path / f"adapter{number}"
            shutil.copytree(other_folder, folder / "base")
            (folder / "adapter_config.json").write_text(f'{{"number": {number}}}')
            adapters.append(registry.add(folder))
        base = source.weights(registry.add(other_folder))
        assert [source.weights(one) for one in adapters] == [base, base]
        (other_folder / "config.json").write_text("{}")
        assert source.weights(registry.add(other_folder)) != base

    def test_what_is_deleted_or_long_unused_goes(
        self, registry: Registry, source: RegistrySource, model_folder: Path, tmp_path: Path
    ) -> None:
        """R-MODEL-5: with its conversions; what an engine holds stays, and what is asked again comes again."""
        used, deleted, unused, held = (registry.add(model_folder) for _ in range(4))
        for version_id in (used, deleted, unused, held):
            (source.folder(version_id).parent / ".derived" / version_id / "bf16").mkdir(parents=True)
        with registry.sessions.begin() as session:
            model_id = session.get_one(ModelVersion, deleted).model_id
            session.get_one(Model, model_id).deleted_at = sa.func.now()
        for version_id in (unused, held):
            os.utime(tmp_path / "cache" / ".used" / version_id, (1, 1))
        assert source.trim({held}, 3_600) == sorted([deleted, unused])
        assert set(source.cached()) == {used, held}
        assert {path.name for path in (tmp_path / "cache" / ".derived").iterdir()} == {used, held}
        assert source.folder(unused).is_dir()
        assert source.trim(set(), 3_600) == [held]

    def test_a_model_that_there_is_not(self, source: RegistrySource) -> None:
        with pytest.raises(NotFoundError, match="There is no model mver_none"):
            source.folder("mver_none")


class TestServer:
    def test_it_answers_with_a_model_of_the_registry(
        self, registry: Registry, serve: Callable[..., InferenceServer], model_folder: Path, variables: dict[str, str]
    ) -> None:
        """R-CHAT-1: by the version's id; an unknown one is 404; the list has it once it lies here."""
        version_id = registry.add(model_folder)
        server = serve(**variables)
        assert httpx.get(f"{server.url}/v1/models").json() == {"object": "list", "data": []}
        given = ask(server, model=version_id, max_tokens=4)
        assert given.status_code == 200, given.text
        assert given.json()["model"] == version_id
        assert list(server.loaded()) == [version_id]
        (listed,) = httpx.get(f"{server.url}/v1/models").json()["data"]
        assert (listed["id"], listed["object"], listed["owned_by"]) == (version_id, "model", "simorgh")
        refusal(ask(server, model="none"), 404, "model_not_found")

    def test_a_damaged_model_is_no_answer(
        self,
        registry: Registry,
        serve: Callable[..., InferenceServer],
        other_folder: Path,
        variables: dict[str, str],
    ) -> None:
        """R-MODEL-1: a 5xx that names the file, that stock clients do not try again, and that nothing is kept of."""
        version_id = registry.add(other_folder)
        remove(registry, other_folder / "config.json")
        server = serve(**variables)
        for stream in (False, True):
            given = ask(server, model=version_id, stream=stream)
            sentence = refusal(given, 500, "model_damaged")
            assert "config.json" in sentence
            assert version_id in sentence
            assert given.headers["x-should-retry"] == "false"
        assert httpx.get(f"{server.url}/v1/models").json()["data"] == []
        assert list(Path(variables["SIMORGH_CACHE_DIR"]).iterdir()) == []

    def test_a_database_that_is_gone(
        self, serve: Callable[..., InferenceServer], variables: dict[str, str], closed_port: int
    ) -> None:
        """R-OPS-4, R-API-3: 503 with when to try again, and unready by the part's name."""
        url = f"postgresql+psycopg://nobody:x@127.0.0.1:{closed_port}/none"
        server = serve(**variables | {"SIMORGH_DATABASE_URL": url}, until="/livez")
        for stream in (False, True):
            given = ask(server, stream=stream)
            refusal(given, 503, "database_unavailable")
            assert given.headers["retry-after"] == "5"
        ready = httpx.get(f"{server.url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["data"]["parts"]) == (
            503,
            {"database": "does not answer", "storage": "ok"},
        )

    def test_a_storage_that_is_gone(
        self,
        registry: Registry,
        serve: Callable[..., InferenceServer],
        variables: dict[str, str],
        other_folder: Path,
        closed_port: int,
    ) -> None:
        """R-OPS-4, R-API-3."""
        version_id = registry.add(other_folder)
        gone = {"SIMORGH_S3_ENDPOINT_URL": f"http://127.0.0.1:{closed_port}"}
        server = serve(**variables | gone, until="/livez")
        given = ask(server, model=version_id)
        refusal(given, 503, "storage_unavailable")
        assert given.headers["retry-after"] == "5"
        ready = httpx.get(f"{server.url}/readyz", timeout=10)
        assert (ready.status_code, ready.json()["data"]["parts"]["database"]) == (503, "ok")
        assert ready.json()["data"]["parts"]["storage"] != "ok"
