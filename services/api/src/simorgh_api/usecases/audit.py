"""The audit log: who changed what, when and from where (R-AUTH-6). Rows are written once; nothing here changes one."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases.paging import page
from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import AuditEvent
from simorgh_shared.domain.ids import new_id
from simorgh_shared.schemas.audit import AuditView

_PREFIX = "audit"
# One statement whether there is such an account or not: the time that it takes tells nobody which. The project is the
# one that the account would have been signed in to.
_FAILED_SIGN_IN = sa.text(
    """
    INSERT INTO audit_events (id, project_id, user_id, action, status, address, user_agent, request_id)
    SELECT :id, m.project_id, u.id, :action, :status, :address, :user_agent, :request_id
    FROM (SELECT 1) AS one LEFT JOIN users u ON u.email = :email OR u.id = :user_id LEFT JOIN LATERAL (
        SELECT m.project_id FROM memberships m LEFT JOIN user_settings s ON s.user_id = m.user_id
        WHERE m.user_id = u.id
        ORDER BY (m.project_id = s.default_project_id) DESC NULLS LAST, m.created_at, m.project_id LIMIT 1
    ) AS m ON true
    """
)


@dataclass(frozen=True)
class Act:
    """A request that changed something, or a sign-in that failed. It holds no body, prompt or secret."""

    action: str
    """The route's operation id."""
    status: int
    address: str
    user_agent: str
    request_id: str
    targets: tuple[str, ...] = ()
    """Ids of what was changed or made."""


@dataclass(frozen=True)
class Claimant:
    """Whose account a sign-in was about, as it was said: the account need not exist."""

    email: str | None = None
    user_id: str | None = None


@dataclass(frozen=True)
class AuditFilter:
    """Which rows of a project."""

    user_id: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def record(session: Session, act: Act, principal: Principal | None) -> None:
    """Write down a change, in the transaction that makes it where there is one."""
    session.add(
        AuditEvent(
            id=new_id(_PREFIX),
            project_id=principal.project_id if principal else None,
            user_id=principal.user_id if principal else None,
            key_id=principal.key_id if principal else None,
            session_id=principal.session_id if principal else None,
            action=act.action,
            targets=list(act.targets),
            status=act.status,
            address=act.address,
            user_agent=act.user_agent,
            request_id=act.request_id,
        )
    )
    session.flush()


def record_failed_sign_in(session: Session, act: Act, claimant: Claimant) -> None:
    """Write down a sign-in that failed, for the owners of the project that it would have led to."""
    values: dict[str, str | int | None] = {"id": new_id(_PREFIX), "email": claimant.email, "user_id": claimant.user_id}
    values |= {"action": act.action, "status": act.status, "address": act.address}
    session.execute(_FAILED_SIGN_IN, values | {"user_agent": act.user_agent, "request_id": act.request_id})


def events(
    session: Session, project_id: str, wanted: AuditFilter, limit: int, cursor: str | None
) -> tuple[list[AuditView], str | None]:
    """The project's rows, newest first, and the cursor to go on with."""
    query = sa.select(AuditEvent).where(AuditEvent.project_id == project_id)
    if wanted.user_id is not None:
        query = query.where(AuditEvent.user_id == wanted.user_id)
    if wanted.action is not None:
        query = query.where(AuditEvent.action == wanted.action)
    if wanted.since is not None:
        query = query.where(AuditEvent.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(AuditEvent.at < wanted.until)
    rows, more = page(session, query, AuditEvent.id, _PREFIX, limit, cursor)
    return [AuditView.model_validate(row.AuditEvent, from_attributes=True) for row in rows], more
