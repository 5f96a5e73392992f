"""A restore takes a whole backup into an empty platform, or changes nothing."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_shared.backup import main
from simorgh_shared.backup.contents import MANIFEST
from simorgh_shared.backup.places import FolderPlace
from simorgh_shared.backup.settings import BackupSettings
from simorgh_shared.backup.taking import Taken
from simorgh_shared.db import migrate
from simorgh_shared.db.revision import head_revision
from simorgh_shared.domain.errors import AppError, ConflictError, InvalidInputError, NotFoundError
from tests.shared.backup.conftest import Busy, backed_up, client, objects, restored

Kept = tuple[Path, Taken]


def count(settings: BackupSettings, table: str) -> int:
    """Rows of a table."""
    engine = sa.create_engine(settings.database_owner_url.get_secret_value(), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table))) or 0


class TestRestore:
    def test_into_a_platform_in_use_it_does_not_go(self, busy: Busy, empty: BackupSettings, place: FolderPlace) -> None:
        """R-DEPLOY-5: rows, objects or services that are there stop it before anything is written."""
        backed_up(busy, place)
        with pytest.raises(ConflictError, match="connections of the services"):
            restored(busy.settings, place)
        busy.engine.engine.dispose()
        with pytest.raises(ConflictError, match="database is not empty"):
            restored(busy.settings, place)
        other = empty.model_copy(update={"s3_bucket": busy.settings.s3_bucket})
        with pytest.raises(ConflictError, match="is not empty"):
            restored(other, place)
        with pytest.raises(NotFoundError, match="cannot be reached"):
            restored(empty.model_copy(update={"s3_bucket": "there-is-none"}), place)
        assert count(empty, "jobs") == 0

    def test_interrupted_it_goes_on(self, kept: Kept, empty: BackupSettings) -> None:
        """R-DEPLOY-5: until all objects are there the database is empty; those that came are not sent again."""
        folder, taken = kept
        file = next(path for path in folder.glob("blobs/*/*") if path.stat().st_size > 1000)
        good = file.read_bytes()
        file.write_bytes(bytes(len(good)))
        with pytest.raises(InvalidInputError, match="damaged"):
            restored(empty, FolderPlace(folder))
        assert count(empty, "users") == 0
        file.write_bytes(good)
        told = restored(empty, FolderPlace(folder))
        assert told.num_there > 0
        assert told.num_sent + told.num_there == taken.contents.num_blobs
        assert count(empty, "users") == 1

    def test_a_damaged_file_is_refused_and_nothing_is_there(self, kept: Kept, empty: BackupSettings) -> None:
        """R-DEPLOY-5: the manifest vouches for every file, the signature for the manifest."""
        folder, taken = kept
        for which in (MANIFEST, "blobs.jsonl.gz", "tables/jobs.copy.gz"):
            path = folder / taken.contents.folder / which
            good = path.read_bytes()
            middle = len(good) // 2
            path.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
            with pytest.raises(AppError):
                restored(empty, FolderPlace(folder))
            assert count(empty, "users") == 0
            path.write_bytes(good)

    def test_one_that_another_key_signed_is_taken_only_when_asked(
        self, kept: Kept, empty: BackupSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R-DEPLOY-5: by the command, with what a container is told."""
        for name in ("database_owner_url", "s3_secret_access_key"):
            monkeypatch.setenv(f"SIMORGH_{name.upper()}", getattr(empty, name).get_secret_value())
        for name in ("database_app_role", "s3_endpoint_url", "s3_access_key_id", "s3_bucket"):
            monkeypatch.setenv(f"SIMORGH_{name.upper()}", getattr(empty, name))
        monkeypatch.setenv("SIMORGH_MANIFEST_KEY", "d" * 43)
        assert main.restore(["--from", str(kept[0])]) == 1
        assert count(empty, "users") == 0
        assert main.restore(["--from", str(kept[0]), "--unsigned"]) == 0
        assert count(empty, "users") == 1

    def test_of_a_newer_schema_is_refused(self, kept: Kept, empty: BackupSettings) -> None:
        """R-DEPLOY-5."""
        path = kept[0] / kept[1].contents.folder / MANIFEST
        path.write_text(path.read_text().replace(f'"revision": "{head_revision()}"', '"revision": "9999"'))
        with pytest.raises(InvalidInputError, match="knows schemas up to"):
            restored(empty, FolderPlace(kept[0]), unsigned=True)

    def test_a_storage_that_survived_is_kept_where_it_is_good(
        self, busy: Busy, empty: BackupSettings, place: FolderPlace
    ) -> None:
        """R-DEPLOY-5: only the database was lost; objects that came after the backup are left to the collector."""
        backed_up(busy, place)
        bucket = busy.engine.bucket
        stranger = f"blobs/ff/{'f' * 64}/obj_x"
        for key in (stranger, busy.blobs[0].key):
            client(bucket).put_object(Bucket=bucket.name, Key=key, Body=b"x" * busy.blobs[0].bytes)
        told = restored(empty.model_copy(update={"s3_bucket": bucket.name}), place, reuse_storage=True)
        assert told.num_sent == 1  # the damaged one
        assert objects(bucket)[stranger] > 0
        assert count(empty, "blob_deletions") == 1

    def test_one_of_an_older_schema_ends_at_the_newest(
        self, busy: Busy, empty: BackupSettings, place: FolderPlace
    ) -> None:
        """R-DEPLOY-5: a backup outlives the release that made it."""
        migrate.downgrade(busy.settings.database_owner_url.get_secret_value(), "0014")
        assert backed_up(busy, place).contents.revision == "0014"
        restored(empty, place)
        engine = sa.create_engine(empty.database_owner_url.get_secret_value(), poolclass=sa.NullPool)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == head_revision()
        assert count(empty, "users") == 1
