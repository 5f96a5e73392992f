"""Waits for a database: until it answers, or until another process has brought it to this release's schema."""

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from simorgh_shared.db.revision import head_revision
from simorgh_shared.domain.errors import UnavailableError

_EVERY_S = 1.0


def until_it_answers(url: str, within_s: float) -> None:
    """Return when the database takes a connection.

    Raises: UnavailableError when it does not in time.
    """
    seen = _until(url, within_s, lambda _: True)
    if seen is None:
        raise UnavailableError("database_silent", within_s=f"{within_s:g}")


def until_migrated(url: str, within_s: float) -> str:
    """Return when the schema is this release's, or a newer one's: its revision. Changes nothing.

    Raises: UnavailableError when it is not in time.
    """
    head = head_revision()
    seen = _until(url, within_s, lambda revision: revision >= head)
    if seen is None or seen < head:
        raise UnavailableError("database_not_migrated", within_s=f"{within_s:g}", at=seen or "none", head=head)
    return seen


def schema_revision(connection: sa.Connection) -> str:
    """The revision of the schema; an empty text where there is none yet."""
    if connection.scalar(sa.text("SELECT to_regclass('alembic_version')")) is None:
        return ""
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version")) or ""


def _until(url: str, within_s: float, is_good: Callable[[str], bool]) -> str | None:
    """The last revision that was seen, the good one as soon as there is; None where nothing answered."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
    deadline = time.monotonic() + within_s
    seen: str | None = None
    while True:
        try:
            with engine.connect() as connection:
                seen = schema_revision(connection)
        except SQLAlchemyError:
            pass
        else:
            if is_good(seen):
                return seen
        if time.monotonic() + _EVERY_S > deadline:
            return seen
        time.sleep(_EVERY_S)
