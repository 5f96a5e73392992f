"""A user's preferences."""

from simorgh_api.deps import DbSession, SignedIn
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import membership
from simorgh_shared.schemas.accounts import Preferences
from simorgh_shared.schemas.envelope import Answer

router = native_router("/settings", "settings")


@router.get("")
def get_settings(session: DbSession, principal: SignedIn) -> Answer[Preferences]:
    """What you chose, or the defaults."""
    return Answer(data=Preferences.model_validate(membership.preferences(session, principal.user_id)))


@router.put("")
def put_settings(body: Preferences, session: DbSession, principal: SignedIn) -> Answer[Preferences]:
    """Keep your preferences."""
    chosen = body.model_dump(mode="json", exclude={"default_project_id"})
    membership.set_preferences(session, principal.user_id, chosen, body.default_project_id)
    return Answer(data=body)
