"""Aliases of a model: set, rolled back, listed, taken away (R-MODEL-2)."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import models
from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import Alias, AliasChange, Model, ModelVersion
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, NotFoundError
from simorgh_shared.schemas.aliases import AliasView

CHAMPION = "champion"
"""What others are to use: the one alias that a version has to deserve."""


@dataclass(frozen=True)
class Handover:
    """Whose requests go to whom."""

    former_id: str
    follower_id: str


def listed(session: Session, project_id: str, model: str) -> list[AliasView]:
    """All aliases of a model.

    Raises: NotFoundError.
    """
    model_id = models.get(session, project_id, model).id
    rows = session.scalars(sa.select(Alias).where(Alias.model_id == model_id).order_by(Alias.name))
    return [_view(session, row) for row in rows]


def point(session: Session, who: Principal, model: str, name: str, version_id: str) -> AliasView:
    """Point an alias at a version. Requests that name it ask that version from the commit on.

    Raises: NotFoundError; InvalidInputError for a version of something else; ConflictError for one that missed its
    gate.
    """
    model_id = models.get(session, who.project_id, model).id
    version = _version(session, who.project_id, model_id, model, version_id)
    _require_promotable(version, name)
    return _set(session, who, model_id, name, version.id)


def roll_back(session: Session, who: Principal, model: str, name: str) -> AliasView:
    """Point an alias at what it pointed at before. Twice brings it back.

    Raises: NotFoundError; ConflictError where it pointed at nothing before, or at a version that missed its gate.
    """
    alias = _alias(session, who.project_id, model, name)
    former = _former(session, alias)
    if former is None:
        raise ConflictError("alias_no_former", model=model, alias=name)
    _require_promotable(_version(session, who.project_id, alias.model_id, model, former), name)
    return _set(session, who, alias.model_id, name, former)


def handover(session: Session, who: Principal, model: str, name: str, version_id: str | None) -> Handover | None:
    """What an alias is about to hand over to this version, or to the one before for None; None where there is nothing.

    Raises: as `point` and `roll_back` do.
    """
    model_id = models.get(session, who.project_id, model).id
    alias = session.get(Alias, (model_id, name)) if version_id else _alias(session, who.project_id, model, name)
    follower = version_id or (_former(session, alias) if alias is not None else None)
    if alias is None or follower is None or follower == alias.model_version_id:
        return None
    version = _version(session, who.project_id, model_id, model, follower)
    _require_promotable(version, name)
    return Handover(alias.model_version_id, version.id)


def remove(session: Session, who: Principal, model: str, name: str) -> str:
    """Take an alias away, with what it pointed at before. Returns its name.

    Raises: NotFoundError.
    """
    alias = _alias(session, who.project_id, model, name)
    session.execute(sa.delete(AliasChange).where(AliasChange.model_id == alias.model_id, AliasChange.name == name))
    session.delete(alias)
    return name


def _set(session: Session, who: Principal, model_id: str, name: str, version_id: str) -> AliasView:
    session.get_one(Model, model_id, with_for_update=True)  # two who set it at once come one after the other
    alias = session.get(Alias, (model_id, name))
    if alias is None:
        alias = Alias(model_id=model_id, name=name, model_version_id=version_id)
        session.add(alias)
    elif alias.model_version_id == version_id:
        return _view(session, alias)
    alias.model_version_id = version_id
    alias.updated_at = sa.func.clock_timestamp()
    session.add(AliasChange(model_id=model_id, name=name, model_version_id=version_id, changed_by=who.user_id))
    session.flush()
    session.refresh(alias)
    return _view(session, alias)


def _version(session: Session, project_id: str, model_id: str, model: str, version_id: str) -> ModelVersion:
    """A version of the model, or one that was made from such a one."""
    found = session.scalar(
        sa.select(ModelVersion)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(ModelVersion.id == version_id, Model.project_id == project_id, Model.deleted_at.is_(None))
    )
    if found is None:
        raise NotFoundError("model_not_found", model=version_id)
    base = session.get(ModelVersion, found.lineage.get("base_version_id") or "")
    if found.model_id != model_id and (base is None or base.model_id != model_id):
        raise InvalidInputError("alias_foreign", version_id=version_id, model=model)
    return found


def _require_promotable(version: ModelVersion, alias: str) -> None:
    """A champion has passed its gate; other aliases, such as one for trials, take any version.

    Raises: ConflictError `alias_gate_missed` with the numbers.
    """
    if alias != CHAMPION:
        return
    missed = (version.metrics.get("gate") or {}).get("missed") or []
    if missed:
        raise ConflictError("alias_gate_missed", version_id=version.id, alias=alias, reason="; ".join(missed))


def _alias(session: Session, project_id: str, model: str, name: str) -> Alias:
    alias = session.get(Alias, (models.get(session, project_id, model).id, name))
    if alias is None:
        raise NotFoundError("alias_not_found", model=model, alias=name)
    return alias


def _former(session: Session, alias: Alias) -> str | None:
    """What it pointed at before the newest change."""
    query = sa.select(AliasChange.model_version_id).where(
        AliasChange.model_id == alias.model_id, AliasChange.name == alias.name
    )
    found: str | None = session.scalar(query.order_by(AliasChange.id.desc()).offset(1).limit(1))
    return found


def _view(session: Session, alias: Alias) -> AliasView:
    return AliasView(
        model_id=alias.model_id,
        name=alias.name,
        model_version_id=alias.model_version_id,
        former_version_id=_former(session, alias),
        updated_at=alias.updated_at,
    )
