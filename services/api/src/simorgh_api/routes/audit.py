"""The audit log of the current project (R-AUTH-6)."""

from typing import Annotated

from fastapi import Query
from pydantic import AwareDatetime

from simorgh_api.deps import Admin, Cursor, DbSession, Limit
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import audit as usecase
from simorgh_shared.schemas.audit import AuditView
from simorgh_shared.schemas.envelope import Page

router = native_router("/audit", "audit")


@router.get("", operation_id="list_audit_events")
def list_events(
    session: DbSession,
    principal: Admin,
    user: Annotated[str | None, Query(max_length=100, description="The id of who did it.")] = None,
    action: Annotated[str | None, Query(max_length=100, description="An operation's id: `delete_dataset`.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="From this moment on.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this moment.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditView]:
    """Who changed what in the current project, newest first; its owners may read it.

    There is a row for each request that changed something, and for each sign-in to a member's account that failed.
    Chats are use and not change: they are not here.
    """
    wanted = usecase.AuditFilter(user, action, since, until)
    found, more = usecase.events(session, principal.project_id, wanted, limit, cursor)
    return Page(data=found, next_cursor=more)
