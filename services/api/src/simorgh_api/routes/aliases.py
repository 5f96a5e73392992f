"""Aliases of a model, such as `champion`: `model@champion` asks the version that it points at (R-MODEL-2)."""

from typing import Annotated

import structlog
from fastapi import Path, Request
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from simorgh_api.asking import Inference
from simorgh_api.deps import DbSession, Reader, Sessions, Writer
from simorgh_api.errors import request_id
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import aliases
from simorgh_api.usecases.principals import Principal
from simorgh_shared.clients.inference import InferenceClient, RefusedError
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.schemas.aliases import AliasBody, AliasView
from simorgh_shared.schemas.envelope import Answer, Deleted, Page

router = native_router("/models", "models")
log = structlog.get_logger()
AliasName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="Such as champion.")]


@router.get("/{model_id}/aliases", operation_id="list_model_aliases")
def list_aliases(session: DbSession, principal: Reader, model_id: str) -> Page[AliasView]:
    """All aliases of a model, and what each pointed at before."""
    return Page(data=aliases.listed(session, principal.project_id, model_id))


@router.put("/{model_id}/aliases/{alias}", operation_id="set_model_alias")
async def set_alias(
    request: Request,
    sessions: Sessions,
    inference: Inference,
    principal: Writer,
    model_id: str,
    alias: AliasName,
    body: AliasBody,
) -> Answer[AliasView]:
    """Point an alias at a version. `champion` takes none that missed the gate of its optimisation.

    Where the version before is loaded, this one is loaded beside it first, memory allowing, so that no request waits.
    """
    await _prepare(request, sessions, inference, principal, model_id, alias, body.version_id)

    def point() -> AliasView:
        with sessions.begin() as session:
            return aliases.point(session, principal, model_id, alias, body.version_id)

    return Answer(data=await run_in_threadpool(point))


@router.post("/{model_id}/aliases/{alias}/rollback", operation_id="roll_back_model_alias")
async def roll_back_alias(
    request: Request, sessions: Sessions, inference: Inference, principal: Writer, model_id: str, alias: AliasName
) -> Answer[AliasView]:
    """Point an alias at what it pointed at before, loaded first as when it is set."""
    await _prepare(request, sessions, inference, principal, model_id, alias, None)

    def roll_back() -> AliasView:
        with sessions.begin() as session:
            return aliases.roll_back(session, principal, model_id, alias)

    return Answer(data=await run_in_threadpool(roll_back))


@router.delete("/{model_id}/aliases/{alias}", operation_id="delete_model_alias")
def delete_alias(session: DbSession, principal: Writer, model_id: str, alias: AliasName) -> Answer[Deleted]:
    """Take an alias away; the versions stay."""
    return Answer(data=Deleted(id=aliases.remove(session, principal, model_id, alias)))


async def _prepare(
    request: Request,
    sessions: sessionmaker[Session],
    inference: InferenceClient,
    who: Principal,
    model: str,
    alias: str,
    version_id: str | None,
) -> None:
    """Have the version loaded that is about to get the alias's requests. What does not come of it, they wait for."""

    def find() -> aliases.Handover | None:
        with sessions() as session:
            return aliases.handover(session, who, model, alias, version_id)

    if (told := await run_in_threadpool(find)) is None:
        return
    try:
        is_ready = await inference.ready_to_follow(told.follower_id, told.former_id, request_id(request))
    except (RefusedError, UnavailableError) as error:  # a form for elsewhere, or no server: an alias may point at it
        log.info("alias_moves_unprepared", version_id=told.follower_id, code=error.code)
        return
    log.info("alias_prepared", version_id=told.follower_id, is_ready=is_ready)
