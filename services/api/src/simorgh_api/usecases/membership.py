"""Projects and their members, API keys and preferences."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from simorgh_api.usecases.principals import KEY_PREFIX, secret_hash
from simorgh_shared.db.models import ApiKey, Membership, Project, User, UserSettings
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.domain.ids import new_id

_SHOWN_CHARS = len(KEY_PREFIX) + 4


def make_key(
    session: Session, project_id: str, user_id: str, name: str, scopes: Sequence[str], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """A key and its secret, which is stored nowhere."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(
        id=new_id("key"),
        project_id=project_id,
        user_id=user_id,
        name=name,
        prefix=secret[:_SHOWN_CHARS],
        key_hash=secret_hash(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    session.refresh(row)
    return row, secret


def keys(session: Session, project_id: str, user_id: str) -> Sequence[ApiKey]:
    """One's live keys of a project, newest first."""
    return session.scalars(
        sa.select(ApiKey)
        .where(ApiKey.project_id == project_id, ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
        .order_by(ApiKey.id.desc())
    ).all()


def revoke_key(session: Session, project_id: str, user_id: str, key_id: str) -> None:
    """End a key at once.

    Raises: NotFoundError for another's.
    """
    ended = session.scalar(
        sa.update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.project_id == project_id, ApiKey.user_id == user_id)
        .values(revoked_at=sa.func.coalesce(ApiKey.revoked_at, sa.func.now()))
        .returning(ApiKey.id)
    )
    if ended is None:
        raise NotFoundError("key_not_found", key_id=key_id)


def projects(session: Session, user_id: str) -> Sequence[tuple[Project, str]]:
    """One's projects with one's role, oldest first."""
    rows = session.execute(
        sa.select(Project, Membership.role)
        .join(Membership, Membership.project_id == Project.id)
        .where(Membership.user_id == user_id)
        .order_by(Project.id)
    )
    return [(row[0], row[1]) for row in rows]


def members(session: Session, project_id: str) -> Sequence[tuple[User, str]]:
    """Who belongs to a project."""
    rows = session.execute(
        sa.select(User, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.project_id == project_id)
        .order_by(User.id)
    )
    return [(row[0], row[1]) for row in rows]


def set_member(session: Session, project_id: str, email: str, role: str) -> User:
    """Let a user in, or change the role.

    Raises: NotFoundError for an unknown address, ConflictError when no owner would be left.
    """
    user = session.scalar(sa.select(User).where(User.email == email))
    if user is None:
        raise NotFoundError("member_not_found", user=email)
    if role != "owner":
        _keep_an_owner(session, project_id, user.id)
    session.execute(
        insert(Membership)
        .values(project_id=project_id, user_id=user.id, role=role)
        .on_conflict_do_update(index_elements=["project_id", "user_id"], set_={"role": role})
    )
    return user


def remove_member(session: Session, project_id: str, user_id: str) -> None:
    """Take someone out of a project.

    Raises: NotFoundError for one who is not in it, ConflictError for the last owner.
    """
    _keep_an_owner(session, project_id, user_id)
    gone = session.scalar(
        sa.delete(Membership)
        .where(Membership.project_id == project_id, Membership.user_id == user_id)
        .returning(Membership.user_id)
    )
    if gone is None:
        raise NotFoundError("member_not_found", user=user_id)


def preferences(session: Session, user_id: str) -> dict[str, Any]:
    """What the user chose; defaults are the caller's."""
    row = session.get(UserSettings, user_id)
    return {} if row is None else {**row.preferences, "default_project_id": row.default_project_id}


def set_preferences(session: Session, user_id: str, chosen: dict[str, Any], default_project_id: str | None) -> None:
    """Keep what the user chose.

    Raises: NotFoundError for a default project that is not the user's.
    """
    if default_project_id is not None and session.get(Membership, (default_project_id, user_id)) is None:
        raise NotFoundError("project_not_found", project_id=default_project_id)
    values = {"preferences": chosen, "default_project_id": default_project_id, "updated_at": sa.func.now()}
    session.execute(
        insert(UserSettings)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(index_elements=["user_id"], set_=values)
    )


def _keep_an_owner(session: Session, project_id: str, leaving_id: str) -> None:
    owners = session.scalars(
        sa.select(Membership.user_id)
        .where(Membership.project_id == project_id, Membership.role == "owner")
        .with_for_update()
    ).all()
    if list(owners) == [leaving_id]:
        raise ConflictError("last_owner")
