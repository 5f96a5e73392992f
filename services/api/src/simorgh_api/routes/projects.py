"""Projects and who belongs to them."""

from simorgh_api.deps import Admin, DbSession, Reader, SignedIn
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import accounts, membership
from simorgh_shared.db.models import Project, User
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.schemas.accounts import MemberView, NewMember, NewProject, ProjectChange, ProjectView
from simorgh_shared.schemas.envelope import Answer, Done

router = native_router("/projects", "projects")


@router.get("")
def list_projects(session: DbSession, principal: SignedIn) -> Answer[list[ProjectView]]:
    """Your projects."""
    found = membership.projects(session, principal.user_id)
    return Answer(data=[_view(project, role) for project, role in found])


@router.post("", status_code=201)
def make_project(body: NewProject, session: DbSession, principal: SignedIn) -> Answer[ProjectView]:
    """Make a project; you own it. Choose it with the header `OpenAI-Project`."""
    project = accounts.make_project(session, principal.user_id, body.name)
    session.refresh(project)
    return Answer(data=_view(project, "owner"))


@router.patch("/{project_id}")
def change_project(project_id: str, body: ProjectChange, session: DbSession, principal: Admin) -> Answer[ProjectView]:
    """Rename the current project, or say how many checkpoints its ended runs keep."""
    _is_current(project_id, principal.project_id)
    project = session.get_one(Project, project_id)
    if body.name is not None:
        project.name = body.name
    if "checkpoints_kept" in body.model_fields_set:
        project.checkpoints_kept = body.checkpoints_kept
    session.flush()
    return Answer(data=_view(project, "owner"))


@router.get("/{project_id}/members")
def list_members(project_id: str, session: DbSession, principal: Reader) -> Answer[list[MemberView]]:
    """Who belongs to the current project."""
    _is_current(project_id, principal.project_id)
    return Answer(data=[_member(user, role) for user, role in membership.members(session, project_id)])


@router.put("/{project_id}/members")
def set_member(project_id: str, body: NewMember, session: DbSession, principal: Admin) -> Answer[MemberView]:
    """Let someone into the current project, or change the role."""
    _is_current(project_id, principal.project_id)
    return Answer(data=_member(membership.set_member(session, project_id, body.email, body.role), body.role))


@router.delete("/{project_id}/members/{user_id}")
def remove_member(project_id: str, user_id: str, session: DbSession, principal: Admin) -> Answer[Done]:
    """Take someone out of the current project."""
    _is_current(project_id, principal.project_id)
    membership.remove_member(session, project_id, user_id)
    return Answer(data=Done())


def _is_current(project_id: str, current_id: str) -> None:
    if project_id != current_id:
        raise NotFoundError("project_not_found", project_id=project_id)


def _view(project: Project, role: str) -> ProjectView:
    return ProjectView.model_validate(
        {
            "id": project.id,
            "name": project.name,
            "role": role,
            "created_at": project.created_at,
            "checkpoints_kept": project.checkpoints_kept,
        }
    )


def _member(user: User, role: str) -> MemberView:
    return MemberView.model_validate({"user_id": user.id, "email": user.email, "name": user.name, "role": role})
