"""Models of the registry (R-MODEL-1, the part that exists)."""

from typing import Annotated, Any

from fastapi import Query

from simorgh_api.deps import DbSession, Reader, Writer
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import models

router = native_router("/models", "models")


@router.get("/list", operation_id="list_models")
def list_models(
    session: DbSession,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The project's models, newest first."""
    found, more = models.page(session, principal.project_id, limit, cursor)
    return {"ok": True, "data": found, "next_cursor": more}


@router.get("/detected", operation_id="detected_models")
def detected_models(session: DbSession, principal: Reader) -> dict[str, Any]:
    """Every version whose files lie in storage."""
    return {"ok": True, "data": models.detected(session, principal.project_id)}


@router.get("/{model_id}", operation_id="get_model")
def get_model(session: DbSession, principal: Reader, model_id: str) -> dict[str, Any]:
    """One model with its versions."""
    return {"ok": True, "data": models.get(session, principal.project_id, model_id)}


@router.delete("/{model_id}", operation_id="delete_model")
def delete_model(session: DbSession, principal: Writer, model_id: str) -> dict[str, Any]:
    """Take a model away."""
    models.delete(session, principal.project_id, model_id)
    return {"ok": True, "data": {"id": model_id, "deleted": True}}
