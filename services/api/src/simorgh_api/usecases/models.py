"""Models of a project: named, found, listed, deleted (R-MODEL-1, the part that exists)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import paging
from simorgh_shared.db.models import Alias, Blob, ManifestEntry, Model, ModelVersion
from simorgh_shared.db.repositories import models as repository
from simorgh_shared.domain.errors import ConflictError, NotFoundError
from simorgh_shared.schemas.models import ModelView, VersionView
from simorgh_shared.storage.blobs import StoredBlob

_MAX_LOOKED_AT = 1_000  # objects of one page; each is a request to the storage


@dataclass(frozen=True)
class FoundVersion:
    """A version, and the objects that it is made of."""

    model_id: str
    name: str
    version: VersionView
    blobs: Sequence[StoredBlob]


@dataclass(frozen=True)
class Askable:
    """A model as `/v1` names it, and the version that answers."""

    name: str
    version_id: str
    created_at: datetime


def resolve(session: Session, project_id: str, name: str) -> str:
    """The version id that a name means: a version, a model by id or name (its newest version), or `model@alias`.

    Raises: NotFoundError.
    """
    return repository.resolve(session, project_id, name)[1].id


def newest(session: Session, project_id: str) -> str:
    """The model that was trained last; where none was, the one that was sent last.

    Raises: NotFoundError in a project that has none.
    """
    found = session.scalar(
        repository.versions_of(project_id)
        .with_only_columns(Model.id)
        # Speech and other formats answer nothing; a pruned form is for whoever names it.
        .where(ModelVersion.kind.not_in(("speech", "pruned")), ModelVersion.format == "safetensors")
        .order_by(ModelVersion.job_id.is_(None), ModelVersion.id.desc())
        .limit(1)
    )
    if found is None:
        raise NotFoundError("no_model_yet")
    return found


def page(session: Session, project_id: str, limit: int, cursor: str | None) -> tuple[list[ModelView], str | None]:
    """The newest models first with their versions, and the cursor to go on with."""
    query = sa.select(Model).where(Model.project_id == project_id, Model.deleted_at.is_(None))
    rows, more = paging.page(session, query, Model.id, "model", limit, cursor)
    return _views(session, [row[0] for row in rows]), more


def get(session: Session, project_id: str, model: str) -> ModelView:
    """One model with all its versions, by its id, its name, the id of a version, or an alias (its version's model).

    Raises: NotFoundError.
    """
    if "@" in model:
        return _views(session, [repository.resolve(session, project_id, model)[0]])[0]
    return _views(session, [_model(session, project_id, model)])[0]


def delete(session: Session, project_id: str, model: str) -> str:
    """Take a model away; its name is free again, and nobody can ask it any more. Returns its id.

    Raises: NotFoundError, also for the id of a version: only whole models are taken away; ConflictError while the
    alias of another model points at one of its versions.
    """
    if session.scalar(sa.select(ModelVersion.id).where(ModelVersion.id == model)) is not None:
        raise NotFoundError("model_not_found", model=model)
    found = _model(session, project_id, model)
    aliased = session.execute(
        sa.select(Model.name, Alias.name)
        .join(Alias, Alias.model_id == Model.id)
        .join(ModelVersion, ModelVersion.id == Alias.model_version_id)
        .where(ModelVersion.model_id == found.id, Model.id != found.id, Model.deleted_at.is_(None))
        .limit(1)
    ).one_or_none()
    if aliased is not None:
        raise ConflictError("model_aliased", model=model, name=aliased[0], alias=aliased[1])
    found.deleted_at = sa.func.now()
    return found.id


def askable(session: Session, project_id: str) -> list[Askable]:
    """All models with a version, newest first; the newest version is what their id means."""
    query = (
        repository.versions_of(project_id)
        .with_only_columns(Model.id, Model.created_at, ModelVersion.id.label("version_id"))
        .distinct(Model.id)
        .order_by(Model.id.desc(), ModelVersion.version.desc())
    )
    return [Askable(row.id, row.version_id, row.created_at) for row in session.execute(query)]


def one_askable(session: Session, project_id: str, name: str) -> Askable:
    """The model that a name means, under that name.

    Raises: NotFoundError.
    """
    model, version = repository.resolve(session, project_id, name)
    return Askable(name, version.id, model.created_at)


def versions(
    session: Session, project_id: str, limit: int, cursor: str | None
) -> tuple[list[FoundVersion], str | None]:
    """The newest versions first with their objects: fewer than `limit` where that were too many objects."""
    rows, more = paging.page(session, repository.versions_of(project_id), ModelVersion.id, "mver", limit, cursor)
    blobs = _blobs(session, [row[1].manifest_id or "" for row in rows])
    found: list[FoundVersion] = []
    keys: set[str] = set()
    for model, version, _ in rows:
        own = blobs.get(version.manifest_id or "", [])
        keys |= {blob.key for blob in own}
        if found and len(keys) > _MAX_LOOKED_AT:
            return found, paging.encode(found[-1].version.version_id)
        found.append(FoundVersion(model.id, model.name, view_of(version), own))
    return found, more


def _blobs(session: Session, manifest_ids: Iterable[str]) -> dict[str, list[StoredBlob]]:
    rows = session.execute(
        sa.select(ManifestEntry.manifest_id, Blob.sha256, Blob.bytes, Blob.key)
        .join(Blob, Blob.sha256 == ManifestEntry.sha256)
        .where(ManifestEntry.manifest_id.in_(list(manifest_ids)))
    )
    found: dict[str, list[StoredBlob]] = defaultdict(list)
    for row in rows:
        found[row.manifest_id].append(StoredBlob(row.sha256, row.bytes, row.key))
    return found


def _views(session: Session, models: Sequence[Model]) -> list[ModelView]:
    rows = session.scalars(
        sa.select(ModelVersion)
        .where(ModelVersion.model_id.in_([model.id for model in models]))
        .order_by(ModelVersion.version.desc())
    )
    found: dict[str, list[VersionView]] = defaultdict(list)
    for row in rows:
        found[row.model_id].append(view_of(row))
    return [
        ModelView(id=model.id, name=model.name, created_at=model.created_at, versions=found[model.id])
        for model in models
    ]


def view_of(version: ModelVersion) -> VersionView:
    """A version as the API shows it."""
    return VersionView(
        version_id=version.id,
        version=version.version,
        kind=version.kind,
        format=version.format,
        bytes=version.bytes,
        num_parameters=version.num_parameters,
        job_id=version.job_id,
        metrics=version.metrics,
        lineage=version.lineage,
        traits=version.traits,
        created_at=version.created_at,
    )


def _model(session: Session, project_id: str, model: str) -> Model:
    of_version = sa.select(ModelVersion.model_id).where(ModelVersion.id == model).scalar_subquery()
    found = session.scalar(
        sa.select(Model)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None))
        .where(sa.or_(Model.id == model, Model.name == model, Model.id == of_version))
        .order_by((Model.id == model).desc())  # a model that is called like another one's id hides nothing
        .limit(1)
    )
    if found is None:
        raise NotFoundError("model_not_found", model=model)
    return found
