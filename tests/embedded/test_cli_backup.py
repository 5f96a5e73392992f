"""`simorgh backup` and `simorgh restore` (R-DEPLOY-5); what they do is tested with the functions that they call."""

from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher

from simorgh_cli import cli
from simorgh_cli.api.accounts import LOCAL_EMAIL
from simorgh_cli.backing.servers import BackingServers
from simorgh_cli.lock import FolderLock
from simorgh_shared.db import migrate
from tests.support.stack import Bucket, Database


def test_a_running_platform_is_backed_up_by_its_folder_and_restored_by_variables(
    backing: BackingServers,
    fresh_database: Database,
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """R-DEPLOY-5: the folder tells where its servers are; in containers variables do."""
    at = backing.endpoints()
    migrate.upgrade(at.database_owner_url, at.database_app_role)
    with psycopg.connect(at.database_owner_url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO projects (id, name) VALUES ('p', 'سیمرغ')")
    holder = FolderLock(backing.data_dir)
    try:
        words = ["--data", str(backing.data_dir)]
        assert cli.main(["backup", "--to", str(tmp_path / "kept"), "--keep", "1", *words]) == 0
        assert cli.main(["restore", "--from", str(tmp_path / "kept"), *words]) == 1
    finally:
        holder.release()
    told = capfd.readouterr()
    assert "is whole" in told.out
    assert "A platform runs on" in told.err

    for name, value in bucket.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SIMORGH_DATABASE_OWNER_URL", fresh_database.owner_url)
    monkeypatch.setenv("SIMORGH_DATABASE_APP_ROLE", fresh_database.app_role)
    assert cli.main(["restore", "--from", str(tmp_path / "kept")]) == 0
    with psycopg.connect(fresh_database.url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT name FROM projects").fetchall() == [("سیمرغ",)]


def test_into_a_new_folder_the_quick_starts_user_comes_back(
    backing: BackingServers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """R-DEPLOY-5: the password that the old folder kept is in no backup; the new folder's is the user's then."""
    at = backing.endpoints()
    migrate.upgrade(at.database_owner_url, at.database_app_role)
    with psycopg.connect(at.database_owner_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO users (id, email, password_hash, name) VALUES ('user_l', %s, 'of the old folder', 'L')"
            " ON CONFLICT DO NOTHING",
            (LOCAL_EMAIL,),
        )
    holder = FolderLock(backing.data_dir)
    try:
        assert cli.main(["backup", "--to", str(tmp_path / "kept"), "--data", str(backing.data_dir)]) == 0
    finally:
        holder.release()
    data = tmp_path / "data"
    assert cli.main(["restore", "--from", str(tmp_path / "wrong"), "--data", str(data)]) == 1
    assert "There is no whole backup in" in capfd.readouterr().err
    assert not data.exists()
    assert cli.main(["restore", "--from", str(tmp_path / "kept"), "--data", str(data)]) == 0
    assert not (data / "restore-begun").exists()
    servers = BackingServers(data, only=["postgres"])
    servers.start()
    try:
        with psycopg.connect(servers.endpoints().database_owner_url.replace("+psycopg", "")) as connection:
            found = connection.execute("SELECT password_hash FROM users WHERE email = %s", (LOCAL_EMAIL,)).fetchone()
    finally:
        servers.stop()
    assert found is not None
    assert PasswordHasher().verify(found[0], servers.secrets.get("local_user_password"))


def test_a_file_is_no_place_for_backups(
    backing: BackingServers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """R-DEPLOY-5: told in a sentence, with what to name instead."""
    (tmp_path / "file").touch()
    holder = FolderLock(backing.data_dir)
    try:
        assert cli.main(["backup", "--to", str(tmp_path / "file"), "--data", str(backing.data_dir)]) == 1
    finally:
        holder.release()
    assert "is no folder" in capfd.readouterr().err


def test_where_no_platform_was_there_is_nothing_to_back_up(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """R-DEPLOY-5: the folder is not made into one by asking."""
    assert cli.main(["backup", "--to", str(tmp_path / "kept"), "--data", str(tmp_path / "none")]) == 1
    assert "no platform's data" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_backup_inside_the_data_folder_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """R-DEPLOY-5: whoever loses the folder would lose both."""
    (tmp_path / "secrets.json").write_text("{}")
    assert cli.main(["backup", "--to", str(tmp_path / "kept"), "--data", str(tmp_path)]) == 1
    assert "Name a folder elsewhere" in capfd.readouterr().err
    assert not (tmp_path / "kept").exists()
