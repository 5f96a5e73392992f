"""What a project uses and may use."""

from simorgh_api.deps import DbSession, Reader
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import quotas
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.usage import UsageView

router = native_router("/projects", "projects")


@router.get("/{project_id}/usage", operation_id="get_project_usage")
def get_usage(project_id: str, session: DbSession, principal: Reader) -> Answer[UsageView]:
    """What the current project uses, beside its limits."""
    if project_id != principal.project_id:
        raise NotFoundError("project_not_found", project_id=project_id)
    return Answer(data=quotas.usage(session, project_id))
