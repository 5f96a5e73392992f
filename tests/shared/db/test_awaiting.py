"""`simorgh-migrate` waits for a database, and for another process's migration, and leaves a newer schema alone."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from simorgh_shared.db import migrate
from simorgh_shared.db.awaiting import until_migrated
from simorgh_shared.db.revision import head_revision
from tests.support.ports import free_port
from tests.support.stack import Database

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The program with these arguments and this address; what it prints."""

    def start(*arguments: str, variable: str, url: str) -> str:
        monkeypatch.setenv(variable, url)
        monkeypatch.setattr("sys.argv", ["simorgh-migrate", *arguments])
        migrate.main()
        return capsys.readouterr().out

    return start


class TestAwait:
    """Pods of a release whose migration runs beside them (R-DEPLOY-3)."""

    def test_it_ends_when_another_process_has_migrated(self, fresh_database: Database) -> None:
        migrate.downgrade(fresh_database.owner_url, "base")
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(until_migrated, fresh_database.owner_url, 60)
            migrate.upgrade(fresh_database.owner_url, fresh_database.app_role)
            assert waiting.result(60) == head_revision()

    def test_it_says_at_which_revision_the_database_stayed(self, run: Run, fresh_database: Database) -> None:
        engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
        with pytest.raises(SystemExit, match=f"at revision 0001; this release needs {head_revision()}"):
            run("--await", "0", variable="SIMORGH_DATABASE_URL", url=fresh_database.url)

    def test_the_application_role_suffices(self, run: Run, database: Database) -> None:
        said = run("--await", "0", variable="SIMORGH_DATABASE_URL", url=database.url)
        assert said == f"database is at revision {head_revision()}\n"


class TestMigrate:
    """R-DEPLOY-5."""

    def test_an_older_release_leaves_a_newer_schema_alone(self, run: Run, fresh_database: Database) -> None:
        """After a rollback the older release's migration is started again."""
        engine = sa.create_engine(fresh_database.owner_url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        said = run(variable="SIMORGH_DATABASE_OWNER_URL", url=fresh_database.owner_url)
        assert (
            said == f"database is at revision 9999, newer than this release's {head_revision()}: nothing was changed\n"
        )

    def test_a_database_that_does_not_answer_is_said_to(self, run: Run) -> None:
        address = f"postgresql+psycopg://owner:word@127.0.0.1:{free_port()}/simorgh"
        with pytest.raises(SystemExit, match="did not answer within 0 s"):
            run("--wait", "0", variable="SIMORGH_DATABASE_OWNER_URL", url=address)
