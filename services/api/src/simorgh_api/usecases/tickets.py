"""Tickets: the right to open one stream, for browsers' EventSource, which sends no headers (R-AUTH-7)."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import principals
from simorgh_api.usecases.principals import Principal, secret_hash
from simorgh_shared.db.models import StreamTicket
from simorgh_shared.domain.errors import InvalidInputError, UnauthenticatedError

TICKET_PARAMETER = "ticket"
RESUME_PARAMETER = "last_event_id"
_STREAM_PATH = re.compile(r"/(api|v1)/([^/]+/)*stream")


@dataclass(frozen=True)
class Watcher:
    """Who follows a stream, and by which opening of which ticket, where it was by one."""

    principal: Principal
    ticket_hash: str | None = None
    opening: int = 0

    def may_go_on(self, session: Session) -> bool:
        """Whether the session or key stands, and no other connection goes on with the ticket in this one's place."""
        if not principals.is_still_good(session, self.principal):
            return False
        if self.ticket_hash is None:
            return True
        held = sa.select(StreamTicket.opening).where(StreamTicket.ticket_hash == self.ticket_hash)
        return session.scalar(held) == self.opening


def issue(session: Session, principal: Principal, path: str, first_use_s: int) -> tuple[StreamTicket, str]:
    """A ticket and its secret, which is stored nowhere.

    Raises: InvalidInputError for a path where no stream is.
    """
    parts = urlsplit(path)
    if not _STREAM_PATH.fullmatch(unquote(parts.path)) or parts.netloc or parts.fragment:
        raise InvalidInputError("ticket_no_stream", path=path[:200])
    assert principal.session_id is not None
    assert principal.expires_at is not None
    _forget_expired(session, principal.user_id)
    secret = f"st-{secrets.token_urlsafe(32)}"
    ticket = StreamTicket(
        ticket_hash=secret_hash(secret),
        session_id=principal.session_id,
        user_id=principal.user_id,
        project_id=principal.project_id,
        stream=spelling(unquote(parts.path), parse_qsl(parts.query, keep_blank_values=True)),
        first_use_by=_in(first_use_s),
        expires_at=principal.expires_at,
    )
    session.add(ticket)
    session.flush()
    session.refresh(ticket)
    return ticket, secret


def open_stream(session: Session, secret: str, stream: str, is_reconnect: bool) -> Watcher:
    """Open or go on with the ticket's stream; a connection that still had it open ends.

    Raises: UnauthenticatedError that says what is wrong with the ticket.
    """
    digest = secret_hash(secret)
    taken = session.scalar(
        sa.update(StreamTicket)
        .where(StreamTicket.ticket_hash == digest, StreamTicket.stream == stream)
        .where(StreamTicket.expires_at > sa.func.now())
        .where(
            sa.or_(
                sa.and_(StreamTicket.opening == 0, StreamTicket.first_use_by > sa.func.now()),
                sa.and_(StreamTicket.opening > 0, sa.literal(is_reconnect)),
            )
        )
        .values(opening=StreamTicket.opening + 1)
        .returning(StreamTicket)
    )
    if taken is None:
        raise _refusal(session, digest, stream)
    principal = principals.of_session(session, taken.user_id, taken.session_id, taken.project_id)
    return Watcher(principal, digest, taken.opening)


def spelling(path: str, query: Iterable[tuple[str, str]]) -> str:
    """The one spelling of a stream's address: what differs between its connections is left out."""
    kept = sorted((name, value) for name, value in query if name not in (TICKET_PARAMETER, RESUME_PARAMETER))
    return f"{path}?{urlencode(kept)}" if kept else path


def _refusal(session: Session, digest: str, stream: str) -> UnauthenticatedError:
    row = session.execute(
        sa.select(StreamTicket, (StreamTicket.expires_at <= sa.func.now()).label("is_over")).where(
            StreamTicket.ticket_hash == digest
        )
    ).one_or_none()
    if row is None:
        return UnauthenticatedError("ticket_unknown")
    if row.StreamTicket.stream != stream:
        return UnauthenticatedError("ticket_other_stream")
    if row.is_over:
        return UnauthenticatedError("ticket_expired")
    return UnauthenticatedError("ticket_used" if row.StreamTicket.opening else "ticket_too_late")


def _forget_expired(session: Session, user_id: str) -> None:
    """Who makes tickets clears away one's old ones, so that the table needs no keeper."""
    session.execute(
        sa.delete(StreamTicket).where(StreamTicket.user_id == user_id, StreamTicket.expires_at < sa.func.now())
    )


def _in(seconds: int) -> sa.ColumnElement[datetime]:
    return sa.func.now() + timedelta(seconds=seconds)
