"""Backups of a platform in use: nothing that they name goes meanwhile, and none is half there."""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from simorgh_api.dispatcher.collecting import collect_blobs
from simorgh_shared.backup import main, taking
from simorgh_shared.backup.contents import complete_backups, read_blob_lines, read_contents
from simorgh_shared.backup.places import FolderPlace, open_place
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, UnavailableError
from simorgh_shared.storage.holding import StorageHold
from tests.shared.backup.conftest import Busy, backed_up, objects
from tests.support.stack import Bucket


class Breaking(FolderPlace):
    """A place that goes away after so many files."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self._left = itertools.count(after, -1)

    def put(self, name: str, chunks: Iterable[bytes], about_bytes: int = 0) -> int:
        if next(self._left) <= 0:
            raise UnavailableError("storage_unavailable", retry_after_s=5)
        return super().put(name, chunks, about_bytes)


def forget_file(busy: Busy) -> None:
    """Nothing names the first blob any more, and nobody used it for days."""
    with busy.engine.sessions.begin() as session:
        for statement in (
            "DELETE FROM manifest_entries WHERE sha256 = :sha256",
            "DELETE FROM files WHERE sha256 = :sha256",
        ):
            session.execute(sa.text(statement), {"sha256": busy.blobs[0].sha256})
        session.execute(sa.text("UPDATE blobs SET last_used_at = now() - interval '9 days'"))


class TestTake:
    def test_what_is_there_already_is_not_sent_again(self, busy: Busy, place: FolderPlace) -> None:
        """R-DEPLOY-5: the second backup costs the database and what is new."""
        first = backed_up(busy, place)
        assert first.num_sent == first.contents.num_blobs
        assert backed_up(busy, place).num_sent == 0

    def test_verify_finds_and_mends_what_was_damaged_in_the_place(
        self, busy: Busy, place: FolderPlace, tmp_path: Path
    ) -> None:
        """R-DEPLOY-5: the same size with other bytes is told by reading alone."""
        backed_up(busy, place)
        file = next(path for path in tmp_path.glob("backups/blobs/*/*") if path.stat().st_size > 1000)
        good = file.read_bytes()
        file.write_bytes(bytes(len(good)))
        assert backed_up(busy, place).num_sent == 0
        assert backed_up(busy, place, verify=True).num_sent == 1
        assert file.read_bytes() == good

    def test_an_interrupted_one_leaves_the_last_whole_one_and_is_swept_by_the_next(
        self, busy: Busy, place: FolderPlace, tmp_path: Path
    ) -> None:
        """Fault 47."""
        whole = backed_up(busy, place).contents.name
        with pytest.raises(UnavailableError):
            backed_up(busy, Breaking(tmp_path / "backups", after=10))
        assert complete_backups(place) == [whole]
        assert len(list((tmp_path / "backups/backups").iterdir())) == 2
        backed_up(busy, place)
        assert len(complete_backups(place)) == len(list((tmp_path / "backups/backups").iterdir())) == 2

    def test_old_ones_go_and_what_a_kept_one_names_stays(self, busy: Busy, place: FolderPlace, tmp_path: Path) -> None:
        """R-DEPLOY-5: `--keep`."""
        backed_up(busy, place)
        forget_file(busy)
        with busy.engine.sessions.begin() as session:
            session.execute(sa.text("DELETE FROM blobs WHERE sha256 = :sha256"), {"sha256": busy.blobs[0].sha256})
        kept = [backed_up(busy, place, keep=2).contents for _ in range(2)]
        assert complete_backups(place) == [contents.name for contents in kept]
        named = {line.file for contents in kept for line in read_blob_lines(place, contents)}
        assert {file for file, _ in place.sizes("blobs/")} == named
        assert not any(busy.blobs[0].sha256 in file for file in named)

    def test_nothing_that_it_names_is_collected_before_it_is_copied(self, busy: Busy, place: FolderPlace) -> None:
        """R-DEPLOY-5: what is let go in between stays in storage until the backup has ended."""
        collected: list[int] = []

        def let_go(text: str) -> None:
            if text.startswith("The database"):  # is written; no blob is copied yet
                forget_file(busy)
                collected.append(collect_blobs(busy.engine.sessions, busy.engine.store, 86_400))

        taken = taking.take(busy.settings, place, taking.Options(), datetime.now(UTC), let_go)
        assert (collected, taken.contents.num_lost) == ([0], 0)
        assert busy.blobs[0].key in objects(busy.engine.bucket)
        assert collect_blobs(busy.engine.sessions, busy.engine.store, 86_400) == 1
        assert busy.blobs[0].key not in objects(busy.engine.bucket)

    def test_an_object_that_storage_has_lost_is_told_and_the_rest_is_kept(
        self, busy: Busy, place: FolderPlace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Architecture 5: who finds it missing or damaged marks its blob."""
        store, bucket = busy.engine.store, busy.engine.bucket.name
        store.delete(busy.blobs[0].key)
        store.client.put_object(Bucket=bucket, Key=busy.blobs[4].key, Body=b"no gzip")
        status = main.run_backup(busy.settings, str(tmp_path / "backups"), taking.Options())
        assert status == main.LOST_BLOBS
        assert f"lost: {busy.blobs[0].sha256}" in capsys.readouterr().out
        with busy.engine.sessions() as session:
            lost = set(session.scalars(sa.text("SELECT sha256 FROM blobs WHERE lost_at IS NOT NULL")))
        assert lost == {busy.blobs[0].sha256, busy.blobs[4].sha256}
        contents, _ = read_contents(place, complete_backups(place)[-1])
        assert {line.sha256 for line in read_blob_lines(place, contents) if line.lost} == lost
        assert main.run_backup(busy.settings, str(tmp_path / "backups"), taking.Options()) == 0  # known since

    def test_two_at_once_are_one(self, busy: Busy, place: FolderPlace) -> None:
        with StorageHold(busy.engine.sessions), pytest.raises(ConflictError, match="Another backup"):
            backed_up(busy, place)

    def test_the_platforms_own_bucket_is_refused(self, busy: Busy) -> None:
        own = open_place(f"s3://{busy.engine.bucket.name}/backups", busy.settings.backup_storage)
        with pytest.raises(InvalidInputError, match="own storage"):
            backed_up(busy, own)


def test_a_bucket_lets_go_of_parts_that_were_never_joined(busy: Busy, other_bucket: Bucket) -> None:
    """Fault 47: a process that dies in a large file leaves parts, which cost as much as files."""
    bucket = other_bucket
    client = busy.engine.store.client
    client.create_multipart_upload(Bucket=bucket.name, Key="here/blobs/aa/b")
    others = client.create_multipart_upload(Bucket=bucket.name, Key="there/blobs/aa/b")["UploadId"]
    open_place(f"s3://{bucket.name}/here", busy.settings.backup_storage).sweep()
    left = client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]
    assert [one["UploadId"] for one in left] == [others]
    client.abort_multipart_upload(Bucket=bucket.name, Key="there/blobs/aa/b", UploadId=others)
