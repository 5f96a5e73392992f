"""API keys of the current project."""

from simorgh_api.deps import DbSession, SignedIn
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import membership
from simorgh_shared.db.models import ApiKey
from simorgh_shared.schemas.accounts import KeyView, NewKey, NewKeyView
from simorgh_shared.schemas.envelope import Answer, Done

router = native_router("/keys", "keys")


@router.post("", status_code=201)
def make_key(session: DbSession, principal: SignedIn, body: NewKey | None = None) -> Answer[NewKeyView]:
    """Make a key of this project. Its secret is shown this once; it never may more than you."""
    new = body or NewKey()
    row, secret = membership.make_key(
        session, principal.project_id, principal.user_id, new.name, new.scopes, new.expires_at
    )
    return Answer(data=NewKeyView(**_view(row).model_dump(), key=secret))


@router.get("")
def list_keys(session: DbSession, principal: SignedIn) -> Answer[list[KeyView]]:
    """Your keys of this project, without their secrets."""
    return Answer(data=[_view(row) for row in membership.keys(session, principal.project_id, principal.user_id)])


@router.delete("/{key_id}")
def revoke_key(key_id: str, session: DbSession, principal: SignedIn) -> Answer[Done]:
    """End a key at once."""
    membership.revoke_key(session, principal.project_id, principal.user_id, key_id)
    return Answer(data=Done())


def _view(row: ApiKey) -> KeyView:
    return KeyView.model_validate(row, from_attributes=True)
