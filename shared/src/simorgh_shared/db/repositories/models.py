"""How a model version comes into the registry, whoever made it, and which one a name means."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from simorgh_shared.db.models import Alias, Model, ModelVersion
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.storage import manifests
from simorgh_shared.storage.manifests import Entry


@dataclass(frozen=True)
class NewModel:
    """A model that a job made or a user sent; its blobs are stored."""

    name: str
    kind: str
    format: str
    entries: list[Entry]
    lineage: dict[str, Any]
    metrics: dict[str, Any]
    num_parameters: int | None
    traits: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """Where a new version stands."""

    model_id: str
    model_name: str
    model_version_id: str
    version: int


def register(session: Session, project_id: str, new: NewModel, job_id: str | None = None) -> Registered:
    """Insert the model's manifest and its next version; a new model where the project has none of that name."""
    lock_name(session, project_id, new.name)
    model = session.scalar(
        sa.select(Model)
        .where(Model.project_id == project_id, Model.name == new.name, Model.deleted_at.is_(None))
        .with_for_update()
    )
    if model is None:
        model = Model(id=new_id("model"), project_id=project_id, name=new.name)
        session.add(model)
        session.flush()
    newest = session.scalar(sa.select(sa.func.max(ModelVersion.version)).where(ModelVersion.model_id == model.id))
    version = ModelVersion(
        id=new_id("mver"),
        model_id=model.id,
        version=(newest or 0) + 1,
        kind=new.kind,
        format=new.format,
        manifest_id=manifests.create(session, "model", new.entries),
        job_id=job_id,
        num_parameters=new.num_parameters,
        bytes=sum(entry.blob.bytes for entry in new.entries),
        lineage=new.lineage,
        metrics=new.metrics,
        traits=new.traits,
    )
    session.add(version)
    session.flush()
    return Registered(model.id, model.name, version.id, version.version)


def lock_name(session: Session, project_id: str, name: str) -> None:
    """Let others wait who would make a model or a version of this name, until this transaction ends."""
    key = f"models:{project_id}:{name}"
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))


def find_content(session: Session, project_id: str, name: str, entries: Sequence[Entry]) -> str | None:
    """The newest version of a model of this name that has exactly these files."""
    wanted = {(entry.path, entry.blob.sha256) for entry in entries}
    versions = session.execute(
        sa.select(ModelVersion.id, ModelVersion.manifest_id)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(Model.project_id == project_id, Model.name == name, Model.deleted_at.is_(None))
        .where(ModelVersion.bytes == sum(entry.blob.bytes for entry in entries))
        .order_by(ModelVersion.version.desc())
    ).all()
    for version in versions:
        if {(entry.path, entry.blob.sha256) for entry in manifests.entries(session, version.manifest_id)} == wanted:
            found: str = version.id
            return found
    return None


def versions_of(project_id: str) -> "sa.Select[Model, ModelVersion]":
    """The versions of a project's models that are not deleted."""
    return (
        sa.select(Model, ModelVersion)
        .join(ModelVersion, ModelVersion.model_id == Model.id)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None))
    )


def resolve(session: Session, project_id: str, name: str) -> tuple[Model, ModelVersion]:
    """What a name means: a version, a model by id or name (its newest version), or `model@alias`.

    Raises: NotFoundError.
    """
    base, _, alias = name.partition("@")
    query = versions_of(project_id)
    if alias:
        # The version may be of another model: one that was made from a version of this one.
        owner = aliased(Model)
        query = (
            query.join(Alias, Alias.model_version_id == ModelVersion.id)
            .join(owner, owner.id == Alias.model_id)
            .where(owner.project_id == project_id, owner.deleted_at.is_(None))
            .where(Alias.name == alias, sa.or_(owner.id == base, owner.name == base))
        )
    else:
        query = query.where(sa.or_(ModelVersion.id == name, Model.id == name, Model.name == name))
    found = session.execute(query.order_by(ModelVersion.version.desc()).limit(1)).one_or_none()
    if found is None:
        raise NotFoundError("model_not_found", model=name)
    return found[0], found[1]
