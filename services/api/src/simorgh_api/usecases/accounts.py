"""Accounts: register, sign in, rotate refresh tokens, list and end sessions."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from simorgh_api.usecases.principals import secret_hash
from simorgh_shared.db.models import Membership, Project, RefreshToken, User, UserSession
from simorgh_shared.domain.errors import ConflictError, NotFoundError, UnauthenticatedError
from simorgh_shared.domain.ids import new_id

_NUM_ADDRESSES = 50


@dataclass(frozen=True)
class Client:
    """Where a sign-in comes from, for the list of sessions."""

    user_agent: str
    address: str


@dataclass(frozen=True)
class SignIn:
    """A session with a fresh refresh token."""

    user: User
    session_id: str
    refresh_token: str


def register(session: Session, email: str, password_hash: str, name: str) -> User:
    """Make an account and its first project.

    Raises: ConflictError for an address that is taken.
    """
    user_id = session.scalar(
        insert(User)
        .values(id=new_id("user"), email=email, name=name, password_hash=password_hash)
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(User.id)
    )
    if user_id is None:
        raise ConflictError("email_taken", email=email)
    make_project(session, user_id, f"{name}'s project")
    return session.get_one(User, user_id)


def make_project(session: Session, user_id: str, name: str) -> Project:
    """A project with its owner."""
    project = Project(id=new_id("proj"), name=name)
    session.add(project)
    session.flush()
    session.add(Membership(project_id=project.id, user_id=user_id, role="owner"))
    session.flush()
    return project


def check_password(session: Session, email: str, fits: Callable[[str | None], bool]) -> User:
    """The user whose password fits. An unknown account takes as long as a known one.

    Raises: UnauthenticatedError, the same for an unknown account and a wrong password.
    """
    user = session.scalar(sa.select(User).where(User.email == email.strip().lower(), User.disabled_at.is_(None)))
    if not fits(user.password_hash if user else None) or user is None:
        raise UnauthenticatedError("wrong_credentials")
    return user


def addresses(session: Session, email: str) -> Sequence[str]:
    """Where the account was signed in from lately."""
    return session.scalars(
        sa.select(UserSession.address)
        .join(User, User.id == UserSession.user_id)
        .where(User.email == email.strip().lower())
        .order_by(UserSession.created_at.desc())
        .limit(_NUM_ADDRESSES)
    ).all()


def owner_of(session: Session, refresh_token: str) -> str | None:
    """Whose refresh token this is, good or not."""
    return session.scalar(
        sa.select(UserSession.user_id)
        .join(RefreshToken, RefreshToken.session_id == UserSession.id)
        .where(RefreshToken.token_hash == secret_hash(refresh_token))
    )


def sign_in(session: Session, user: User, client: Client, lifetime_s: int) -> SignIn:
    """Open a session with its first refresh token."""
    session_id = new_id("sess")
    session.add(
        UserSession(
            id=session_id,
            user_id=user.id,
            user_agent=client.user_agent[:300],
            address=client.address,
            expires_at=_in(lifetime_s),
        )
    )
    session.flush()
    return SignIn(user, session_id, _new_refresh_token(session, session_id, lifetime_s))


def refresh(session: Session, token: str, lifetime_s: int) -> SignIn | None:
    """Exchange a refresh token for the next one. None: it was used before, and its session has been ended;
    the caller keeps that before it refuses.

    Raises: UnauthenticatedError for one that is unknown or has expired.
    """
    digest = secret_hash(token)
    session_id = session.scalar(
        sa.update(RefreshToken)
        .where(RefreshToken.token_hash == digest, RefreshToken.used_at.is_(None))
        .where(RefreshToken.expires_at > sa.func.now())
        .values(used_at=sa.func.now())
        .returning(RefreshToken.session_id)
    )
    if session_id is None:
        used = session.scalar(
            sa.select(RefreshToken.session_id).where(
                RefreshToken.token_hash == digest, RefreshToken.used_at.is_not(None)
            )
        )
        if used is None:
            raise UnauthenticatedError("refresh_invalid")
        _revoke(session, used, "refresh token used twice")
        return None
    row = session.execute(
        sa.select(UserSession, User)
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.id == session_id, UserSession.revoked_at.is_(None), User.disabled_at.is_(None))
    ).one_or_none()
    if row is None:
        raise UnauthenticatedError("session_revoked")
    row.UserSession.last_used_at = sa.func.now()
    row.UserSession.expires_at = _in(lifetime_s)
    session.flush()
    return SignIn(row.User, session_id, _new_refresh_token(session, session_id, lifetime_s))


def list_sessions(session: Session, user_id: str) -> Sequence[UserSession]:
    """The user's live sessions, newest first."""
    return session.scalars(
        sa.select(UserSession)
        .where(UserSession.user_id == user_id, UserSession.revoked_at.is_(None))
        .where(UserSession.expires_at > sa.func.now())
        .order_by(UserSession.created_at.desc())
        .limit(200)
    ).all()


def end_session(session: Session, user_id: str, session_id: str) -> None:
    """End one of the user's sessions: its tokens fail from now on.

    Raises: NotFoundError for another's.
    """
    owner = session.scalar(sa.select(UserSession.user_id).where(UserSession.id == session_id))
    if owner != user_id:
        raise NotFoundError("session_not_found", session_id=session_id)
    _revoke(session, session_id, "ended by the user")


def _revoke(session: Session, session_id: str, reason: str) -> None:
    session.execute(
        sa.update(UserSession)
        .where(UserSession.id == session_id, UserSession.revoked_at.is_(None))
        .values(revoked_at=sa.func.now(), revoked_reason=reason)
    )


def _new_refresh_token(session: Session, session_id: str, lifetime_s: int) -> str:
    token = f"rt-{secrets.token_urlsafe(32)}"
    session.add(RefreshToken(token_hash=secret_hash(token), session_id=session_id, expires_at=_in(lifetime_s)))
    session.flush()
    return token


def _in(seconds: int) -> sa.ColumnElement[datetime]:
    return sa.func.now() + timedelta(seconds=seconds)
