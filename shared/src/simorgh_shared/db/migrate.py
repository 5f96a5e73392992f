"""Brings a database to the newest schema (`simorgh-migrate`), once per release, as the owner role."""

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from simorgh_shared.db.awaiting import schema_revision, until_it_answers, until_migrated
from simorgh_shared.db.revision import head_revision
from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.logging import cause
from simorgh_shared.settings import DatabaseSettings, MigrationSettings, read_settings

_LOCK_TIMEOUT_MS = 1_000  # half of what the gateway's own statements wait for one
_LOCK_PAUSE_S = 1.0
_PATIENCE_S = 600.0
LOCK_KEY = 7_261_937  # two releases that start at once migrate one after the other
_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(owner_url: str, app_role: str | None = None, revision: str = "head") -> None:
    """Run the missing migrations as the owner, then let the application role read and write."""
    _migrate(owner_url, app_role, lambda config: command.upgrade(config, revision))


def downgrade(owner_url: str, revision: str) -> None:
    """Go back to an older revision."""
    _migrate(owner_url, None, lambda config: command.downgrade(config, revision))


def main() -> None:
    """Entry point of `simorgh-migrate`."""
    parser = argparse.ArgumentParser(prog="simorgh-migrate", description=__doc__)
    waits = parser.add_mutually_exclusive_group()
    waits.add_argument("--wait", type=float, metavar="SECONDS", help="first wait until the database answers")
    waits.add_argument(
        "--await",
        type=float,
        metavar="SECONDS",
        dest="await_s",
        help="change nothing: end when another process has brought the database to this release's schema",
    )
    arguments = parser.parse_args()
    try:
        told = _await(arguments.await_s) if arguments.await_s is not None else _upgrade(arguments.wait)
    except AppError as error:
        sys.exit(f"simorgh-migrate: {error}")
    except sa.exc.OperationalError as error:
        sys.exit(f"simorgh-migrate: the database cannot be used. {cause(error)}")
    sys.stdout.write(f"{told}\n")


def _await(within_s: float) -> str:
    revision = until_migrated(read_settings(DatabaseSettings).database_url.get_secret_value(), within_s)
    return f"database is at revision {revision}"


def _upgrade(wait_s: float | None) -> str:
    settings = read_settings(MigrationSettings)
    owner_url = settings.database_owner_url.get_secret_value()
    if wait_s is not None:
        until_it_answers(owner_url, wait_s)
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        revision = schema_revision(connection)
    if revision > head_revision():  # a release that was rolled back: its code works with the newer schema
        return f"database is at revision {revision}, newer than this release's {head_revision()}: nothing was changed"
    upgrade(owner_url, settings.database_app_role)
    return f"database is at revision {head_revision()}"


def _migrate(owner_url: str, app_role: str | None, run: Callable[[Config], None]) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
            connection.commit()  # the lock is the session's; each migration has a transaction of its own
            config.attributes["connection"] = connection
            _patiently(connection, lambda: run(config))
            connection.commit()
            if app_role:
                _grant(connection, app_role)
            connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
            connection.commit()
    finally:
        engine.dispose()


def _patiently(connection: sa.Connection, run: Callable[[], None]) -> None:
    """Run migrations whose locks are given up quickly and tried again: what waits for a lock holds up all behind it.

    Raises: UnavailableError when somebody holds a table for too long.
    """
    connection.execute(sa.text(f"SET lock_timeout = '{_LOCK_TIMEOUT_MS}ms'"))
    connection.commit()
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return run()
        except (sa.exc.OperationalError, psycopg.errors.LockNotAvailable) as error:  # a script meets the driver's
            connection.rollback()
            if isinstance(error, sa.exc.OperationalError) and not isinstance(
                error.orig, psycopg.errors.LockNotAvailable
            ):
                raise
            if time.monotonic() > deadline:
                raise UnavailableError("migration_blocked", waited_s=round(_PATIENCE_S)) from error
            time.sleep(_LOCK_PAUSE_S)  # those that queued up behind have their turn


def _grant(connection: sa.Connection, app_role: str) -> None:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", app_role):
        raise ValueError(f"the application role's name must be a plain identifier, not {app_role!r}")
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {app_role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app_role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {app_role}",
        # History is written once: no statement of the application can change it.
        f"REVOKE UPDATE ON job_events, stale_writes FROM {app_role}",
        f"REVOKE UPDATE, DELETE ON audit_events FROM {app_role}",
        # What a project may use is the operator's to say.
        f"REVOKE INSERT, UPDATE, DELETE ON project_quotas FROM {app_role}",
        f"REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {app_role}",
    ):
        connection.execute(sa.text(statement))
    connection.commit()
