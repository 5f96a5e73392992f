"""Who is asking and what they may do, from a session or an API key."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import ApiKey, Membership, User, UserSession, UserSettings
from simorgh_shared.domain.errors import AppError, NotFoundError, UnauthenticatedError

KEY_PREFIX = "sk-simorgh-"
SCOPES_OF_ROLE = {
    "viewer": frozenset({"read"}),
    "editor": frozenset({"read", "write"}),
    "owner": frozenset({"read", "write", "admin"}),
}
_IMPLIED = {"read": {"read"}, "write": {"read", "write"}, "admin": {"read", "write", "admin"}}


@dataclass(frozen=True)
class Principal:
    """A user in a project, by a session or by a key."""

    user_id: str
    project_id: str
    role: str
    scopes: frozenset[str]
    session_id: str | None = None
    key_id: str | None = None
    expires_at: datetime | None = None
    """When the access token runs out; None for a key."""


def secret_hash(secret: str) -> str:
    """What is stored of a key or refresh token. They are random, so a plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def of_session(session: Session, user_id: str, session_id: str, project_id: str | None) -> Principal:
    """The principal of an access token: its session is looked at each time, so that an ended one fails at once.

    Raises: UnauthenticatedError for an ended session, NotFoundError for another's project.
    """
    alive = session.scalar(_ALIVE, {"session_id": session_id, "user_id": user_id})
    if alive is None:
        raise UnauthenticatedError("session_revoked")
    membership = _membership(session, user_id, project_id)
    return Principal(
        user_id, membership.project_id, membership.role, SCOPES_OF_ROLE[membership.role], session_id=session_id
    )


def of_api_key(session: Session, key: str, project_id: str | None) -> Principal:
    """The principal of an API key, which is good for its own project only.

    Raises: UnauthenticatedError for a key that is not good (any more).
    """
    row = session.scalar(_LIVE_BY_HASH, {"key_hash": secret_hash(key)})
    if row is None:
        raise UnauthenticatedError("api_key_invalid")
    if project_id is not None and project_id != row.project_id:
        raise NotFoundError("project_not_found", project_id=project_id)
    membership = session.get(Membership, (row.project_id, row.user_id))
    if membership is None:
        raise UnauthenticatedError("api_key_invalid")
    session.execute(_USED, {"key_id": row.id})
    given = frozenset[str]().union(*(_IMPLIED[scope] for scope in row.scopes))
    return Principal(
        row.user_id, row.project_id, membership.role, given & SCOPES_OF_ROLE[membership.role], key_id=row.id
    )


def is_still_good(session: Session, principal: Principal) -> bool:
    """Whether the session or key stands and its user belongs to the project: what runs for long asks again."""
    if principal.key_id is not None:
        live = session.scalar(_LIVE_KEYS.where(ApiKey.id == principal.key_id))
        return live is not None and session.get(Membership, (principal.project_id, principal.user_id)) is not None
    assert principal.session_id is not None
    try:
        of_session(session, principal.user_id, principal.session_id, principal.project_id)
    except AppError:
        return False
    return True


def _membership(session: Session, user_id: str, project_id: str | None) -> Membership:
    """The named project, else the default one, else the oldest."""
    if project_id is not None:
        found = session.scalar(_NAMED, {"user_id": user_id, "project_id": project_id})
    else:
        found = session.scalar(_USUAL, {"user_id": user_id})
    if found is None:
        raise NotFoundError("project_not_found", project_id=project_id or "(none)")
    return found


# Made once: every request asks them, and to make one takes longer than to have it answered.
_ALIVE = (
    sa.select(UserSession.id)
    .join(User, User.id == UserSession.user_id)
    .where(
        UserSession.id == sa.bindparam("session_id"),
        UserSession.user_id == sa.bindparam("user_id"),
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > sa.func.now(),
        User.disabled_at.is_(None),
    )
)
_LIVE_KEYS = (
    sa.select(ApiKey)
    .join(User, User.id == ApiKey.user_id)
    .where(
        ApiKey.revoked_at.is_(None),
        sa.or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > sa.func.now()),
        User.disabled_at.is_(None),
    )
)
_LIVE_BY_HASH = _LIVE_KEYS.where(ApiKey.key_hash == sa.bindparam("key_hash"))
_USED = (
    sa.update(ApiKey)
    .where(
        ApiKey.id == sa.bindparam("key_id"),
        sa.or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < sa.func.now() - sa.text("interval '1 min'")),
    )
    .values(last_used_at=sa.func.now())
    .execution_options(synchronize_session=False)
)
_OF_USER = sa.select(Membership).where(Membership.user_id == sa.bindparam("user_id"))
_NAMED = _OF_USER.where(Membership.project_id == sa.bindparam("project_id")).limit(1)
_DEFAULT = (
    sa.select(UserSettings.default_project_id).where(UserSettings.user_id == sa.bindparam("user_id")).scalar_subquery()
)
_USUAL = _OF_USER.order_by(
    (Membership.project_id == _DEFAULT).desc().nulls_last(), Membership.created_at, Membership.project_id
).limit(1)
