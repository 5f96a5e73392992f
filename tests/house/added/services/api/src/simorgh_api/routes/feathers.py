"""Feathers of a project."""

from simorgh_api.deps import Cursor, DbSession, Limit, Notify, Reader, Writer
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import feathers
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer, Page
from simorgh_shared.schemas.feathers import FeatherView, NewFeather

router = native_router("/feathers", "feathers")


@router.post("", operation_id="keep_feather", status_code=201)
def keep_feather(session: DbSession, principal: Writer, notify: Notify, body: NewFeather) -> Answer[FeatherView]:
    """Keep a feather; a job counts its barbs."""
    view = feathers.keep(session, principal.project_id, principal.user_id, body)
    notify(NOTIFY_JOBS, Queue.IO)
    return Answer(data=view)


@router.get("", operation_id="list_feathers")
def list_feathers(session: DbSession, principal: Reader, limit: Limit = 50, cursor: Cursor = None) -> Page[FeatherView]:
    """The project's feathers, newest first."""
    found, more = feathers.kept(session, principal.project_id, limit, cursor)
    return Page(data=found, next_cursor=more)
