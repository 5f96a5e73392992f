"""Aliases of a model, such as `champion`: `model@champion` asks the version that it points at (R-MODEL-2)."""

from typing import Annotated

from fastapi import Path

from simorgh_api.deps import DbSession, Reader, Writer
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import aliases
from simorgh_shared.schemas.aliases import AliasBody, AliasView
from simorgh_shared.schemas.envelope import Answer, Deleted, Page

router = native_router("/models", "models")
AliasName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="Such as champion.")]


@router.get("/{model_id}/aliases", operation_id="list_model_aliases")
def list_aliases(session: DbSession, principal: Reader, model_id: str) -> Page[AliasView]:
    """All aliases of a model, and what each pointed at before."""
    return Page(data=aliases.listed(session, principal.project_id, model_id))


@router.put("/{model_id}/aliases/{alias}", operation_id="set_model_alias")
def set_alias(
    session: DbSession, principal: Writer, model_id: str, alias: AliasName, body: AliasBody
) -> Answer[AliasView]:
    """Point an alias at a version. `champion` takes none that missed the gate of its optimisation."""
    return Answer(data=aliases.point(session, principal, model_id, alias, body.version_id))


@router.post("/{model_id}/aliases/{alias}/rollback", operation_id="roll_back_model_alias")
def roll_back_alias(session: DbSession, principal: Writer, model_id: str, alias: AliasName) -> Answer[AliasView]:
    """Point an alias at what it pointed at before."""
    return Answer(data=aliases.roll_back(session, principal, model_id, alias))


@router.delete("/{model_id}/aliases/{alias}", operation_id="delete_model_alias")
def delete_alias(session: DbSession, principal: Writer, model_id: str, alias: AliasName) -> Answer[Deleted]:
    """Take an alias away; the versions stay."""
    return Answer(data=Deleted(id=aliases.remove(session, principal, model_id, alias)))
