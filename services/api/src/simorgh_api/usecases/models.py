"""Models of a project: named, found, listed, deleted."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import Alias, Model, ModelVersion
from simorgh_shared.domain.errors import NotFoundError


def resolve(session: Session, project_id: str, name: str) -> str:
    """The version id that a name means: a version, a model by id or name (its newest version), or `model@alias`.

    Raises: NotFoundError.
    """
    base, _, alias = name.partition("@")
    query = (
        sa.select(ModelVersion.id)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None))
    )
    if alias:
        query = query.join(Alias, Alias.model_version_id == ModelVersion.id).where(
            Alias.name == alias, sa.or_(Model.id == base, Model.name == base)
        )
    else:
        query = query.where(sa.or_(ModelVersion.id == name, Model.id == name, Model.name == name))
    found = session.scalar(query.order_by(ModelVersion.version.desc()).limit(1))
    if found is None:
        raise NotFoundError("model_not_found", model=name)
    return found


def page(session: Session, project_id: str, limit: int, before: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The newest models first with their newest versions, and the id to go on from."""
    query = sa.select(Model).where(Model.project_id == project_id, Model.deleted_at.is_(None))
    if before is not None:
        query = query.where(Model.id < before)
    rows = session.scalars(query.order_by(Model.id.desc()).limit(limit + 1)).all()
    views = [view(row, _versions(session, row.id)) for row in rows[:limit]]
    return views, rows[limit - 1].id if len(rows) > limit else None


def get(session: Session, project_id: str, model_id: str) -> dict[str, Any]:
    """One model with all its versions.

    Raises: NotFoundError.
    """
    return view(_model(session, project_id, model_id), _versions(session, model_id))


def delete(session: Session, project_id: str, model_id: str) -> None:
    """Take a model away; its name is free again."""
    _model(session, project_id, model_id).deleted_at = sa.func.now()


def detected(session: Session, project_id: str) -> list[dict[str, Any]]:
    """What really lies in storage: every version with its files' bytes."""
    rows = session.execute(
        sa.select(Model, ModelVersion)
        .join(ModelVersion, ModelVersion.model_id == Model.id)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None))
        .order_by(ModelVersion.id.desc())
    )
    return [{"model_id": m.id, "name": m.name, **_version(v)} for m, v in rows]


def view(model: Model, versions: list[ModelVersion]) -> dict[str, Any]:
    """A model as the API shows it."""
    return {
        "id": model.id,
        "name": model.name,
        "created_at": model.created_at,
        "versions": [_version(version) for version in versions],
    }


def _version(version: ModelVersion) -> dict[str, Any]:
    return {
        "version_id": version.id,
        "version": version.version,
        "kind": version.kind,
        "format": version.format,
        "bytes": version.bytes,
        "num_parameters": version.num_parameters,
        "job_id": version.job_id,
        "metrics": version.metrics,
        "lineage": version.lineage,
        "created_at": version.created_at,
    }


def _model(session: Session, project_id: str, model_id: str) -> Model:
    found = session.scalar(
        sa.select(Model).where(Model.id == model_id, Model.project_id == project_id, Model.deleted_at.is_(None))
    )
    if found is None:
        raise NotFoundError("model_not_found", model=model_id)
    return found


def _versions(session: Session, model_id: str) -> list[ModelVersion]:
    return list(
        session.scalars(
            sa.select(ModelVersion).where(ModelVersion.model_id == model_id).order_by(ModelVersion.version.desc())
        )
    )
