"""Folders of manifests on this machine: whole, checked, fetched once."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_shared.storage.folders import FolderCache
from simorgh_shared.storage.manifests import Entry
from tests.support.engine import Engine, running_engine
from tests.support.stack import Bucket, Database


@pytest.fixture
def engine(fresh_database: Database, redis_url: str, bucket: Bucket, tmp_path: Path) -> Iterator[Engine]:
    with running_engine(fresh_database, redis_url, bucket, tmp_path) as made:
        yield made


@pytest.fixture
def files(engine: Engine, tmp_path: Path) -> list[Entry]:
    """A model of two files, one in a folder."""
    entries = []
    for name in ("config.json", "base/weights.bin"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"this is {name}")
        entries.append(Entry(name, engine.store.put(engine.sessions, path)))
    return entries


@pytest.fixture
def cache(engine: Engine, tmp_path: Path) -> FolderCache:
    (tmp_path / "cache").mkdir()
    return FolderCache(engine.store, tmp_path / "cache")


class TestFolderCache:
    """R-MODEL-2: what is loaded is what the registry says."""

    def test_a_folder_appears_whole(self, cache: FolderCache, files: list[Entry]) -> None:
        folder = cache.folder("v1", files)
        assert (folder / "base" / "weights.bin").read_text() == "this is base/weights.bin"
        assert list(cache.cached()) == ["v1"]

    @pytest.mark.parametrize("trust_unchanged", [False, True])
    def test_a_damaged_file_is_fetched_anew(
        self, cache: FolderCache, files: list[Entry], trust_unchanged: bool
    ) -> None:
        path = cache.folder("v1", files) / "config.json"
        path.write_text("that is config.json"[: len(path.read_text())])
        cache.folder("v1", files, trust_unchanged=trust_unchanged)
        assert path.read_text() == "this is config.json"

    def test_what_was_not_touched_is_not_read_again(self, cache: FolderCache, files: list[Entry]) -> None:
        path = cache.folder("v1", files) / "config.json"
        before = path.stat()
        cache.folder("v1", files, trust_unchanged=True)
        assert path.stat().st_atime_ns == before.st_atime_ns
        assert path.stat().st_ino == before.st_ino

    def test_a_lost_object_is_named_with_its_folder(
        self, engine: Engine, cache: FolderCache, files: list[Entry]
    ) -> None:
        engine.store.delete(files[1].blob.key)
        with pytest.raises(ArtifactLostError, match=r"base/weights\.bin"):
            cache.folder("v1", files)
        assert cache.cached() == {}

    def test_two_who_ask_at_once_get_the_same_folder(
        self, engine: Engine, cache: FolderCache, files: list[Entry], tmp_path: Path
    ) -> None:
        other = FolderCache(engine.store, tmp_path / "cache")  # another process
        found: list[Path] = []
        threads = [
            threading.Thread(target=lambda one=one: found.append(one.folder("v1", files))) for one in [cache, other] * 3
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [tmp_path / "cache" / "v1"] * 6
        assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["v1"]
