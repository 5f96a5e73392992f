"""Keeps storage from being cleared while somebody copies what the database names: a duty's row with an expiry.

Whoever deletes objects reads first which ones, and asks `is_held` after: an object on that list was let go before the
hold was there, or the hold is seen. So a copy that reads the database after it has taken the hold finds all of it.
"""

import secrets
import threading
from types import TracebackType
from typing import Self

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.errors import ConflictError
from simorgh_shared.logging import cause

log = structlog.get_logger()
_NAME = "backup"
_FOR_S = 120.0
_RENEWED_S = 20.0


def is_held(session: Session) -> bool:
    """Whether nothing may be deleted from storage now."""
    held = sa.text("SELECT 1 FROM duties WHERE name = :name AND expires_at > clock_timestamp()")
    return session.scalar(held, {"name": _NAME}) is not None


class StorageHold:
    """The hold, renewed by a thread while it is entered."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._holder = secrets.token_hex(8)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="storage-hold", daemon=True)
        self.is_whole = True
        """False once it has run out in between: what the database named may be gone then."""

    def __enter__(self) -> Self:
        """Take it.

        Raises: ConflictError while somebody else has it.
        """
        if not self._take():
            raise ConflictError("backup_running", minutes=round(_FOR_S / 60))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it up."""
        self._ended.set()
        self._thread.join()
        try:
            with self._sessions.begin() as session:
                session.execute(
                    sa.text("DELETE FROM duties WHERE name = :name AND holder = :holder"),
                    {"name": _NAME, "holder": self._holder},
                )
        except sa.exc.SQLAlchemyError as failure:  # it runs out by itself
            log.warning("storage_hold_not_given_up", reason=type(failure).__name__)

    def _take(self) -> bool:
        with self._sessions.begin() as session:
            row = session.execute(
                sa.text(
                    """
                    INSERT INTO duties AS d (name, holder, expires_at)
                    VALUES (:name, :holder, clock_timestamp() + make_interval(secs => :for_s))
                    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
                    WHERE d.holder = excluded.holder OR d.expires_at < clock_timestamp() RETURNING 1
                    """
                ),
                {"name": _NAME, "holder": self._holder, "for_s": _FOR_S},
            ).one_or_none()
        return row is not None

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWED_S):
            try:
                self.is_whole = self._renewed() and self.is_whole
            except sa.exc.SQLAlchemyError as error:
                log.warning("storage_hold_not_renewed", reason=cause(error))

    def _renewed(self) -> bool:
        """Whether it held until now; taken anew in any case."""
        with self._sessions.begin() as session:
            row = session.execute(
                sa.text(
                    "UPDATE duties SET expires_at = clock_timestamp() + make_interval(secs => :for_s)"
                    " WHERE name = :name AND holder = :holder AND expires_at > clock_timestamp() RETURNING 1"
                ),
                {"name": _NAME, "holder": self._holder, "for_s": _FOR_S},
            ).one_or_none()
        return row is not None or (self._take() and False)
