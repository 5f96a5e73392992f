"""Models that users send: kept once for each content, under a name of the project (R-MODEL-1)."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import quotas
from simorgh_api.usecases.models import view_of
from simorgh_shared.db.models import Blob, Model, ModelVersion
from simorgh_shared.db.repositories import models as repository
from simorgh_shared.db.repositories.models import NewModel
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders.check import FoundFile, ModelReport
from simorgh_shared.schemas.models import FileView, UploadedModelView
from simorgh_shared.schemas.training import PRESETS
from simorgh_shared.speech.voices import language_of_name
from simorgh_shared.storage.manifests import Entry

KINDS = ("base", "tuned", "adapter", "quantised", "pruned", "exported", "speech")
_MAX_NAME_CHARS = 255


@dataclass(frozen=True)
class NewUpload:
    """A model that was found good, and whose files are stored."""

    name: str
    kind: str
    report: ModelReport
    entries: Sequence[Entry]


def model_name(given: str) -> str:
    """A model's name: data, and never read as anything else.

    Raises: InvalidInputError.
    """
    name = unicodedata.normalize("NFC", given.strip())
    if not 0 < len(name) <= _MAX_NAME_CHARS:
        _refuse(name, f"it has {len(name)} characters where 1 to {_MAX_NAME_CHARS} are taken")
    if any(unicodedata.category(char) == "Cc" for char in name):
        _refuse(name, "it holds a control character")
    if "@" in name:
        _refuse(name, "what follows an @ is read as an alias")
    if name in PRESETS:
        _refuse(name, "a preset has this name")
    return name


def require_room(session: Session, project_id: str, files: Sequence[FoundFile] = ()) -> None:
    """Whether the project may store these files, as far as they are new to the platform.

    Raises: LimitedError.
    """
    hashes = {file.sha256: file.bytes for file in files}
    known = set(session.scalars(sa.select(Blob.sha256).where(Blob.sha256.in_(hashes)))) if hashes else set()
    quotas.require_room(session, project_id, sum(size for sha256, size in hashes.items() if sha256 not in known))


def keep(session: Session, project_id: str, user_id: str, new: NewUpload) -> UploadedModelView:
    """The version of the model of this name that has this content, made the next one where there is none.

    Raises: LimitedError where it does not fit in the project's quota.
    """
    repository.lock_name(session, project_id, new.name)
    known = repository.find_content(session, project_id, new.name, new.entries)
    if known is None:
        files = {file.path: file.sha256 for file in new.report.files}
        model = NewModel(
            name=new.name,
            kind=new.kind,
            format=new.report.format,
            entries=list(new.entries),
            lineage={"uploaded": {"by": user_id, "files": files, "left_out": new.report.left_out}},
            metrics={},
            num_parameters=new.report.num_parameters,
            traits=_traits(new),
        )
        version_id = repository.register(session, project_id, model).model_version_id
        quotas.require_room(session, project_id)
    else:
        version_id = known
    version = session.get_one(ModelVersion, version_id)
    model_row = session.get_one(Model, version.model_id)
    return UploadedModelView(
        **view_of(version).model_dump(),
        id=model_row.id,
        model_id=model_row.id,
        name=model_row.name,
        created=known is None,
        files=[FileView(path=file.path, bytes=file.bytes, sha256=file.sha256) for file in new.report.files],
        left_out=new.report.left_out,
    )


def _traits(new: NewUpload) -> dict[str, Any]:
    """What the check found; a voice that does not say its language may say it by the model's name."""
    traits = dict(new.report.traits)
    if traits.get("architecture") == "vits" and not traits.get("languages"):
        language = language_of_name(new.name)
        traits["languages"] = [] if language is None else [language]
    return traits


def _refuse(name: str, reason: str) -> NoReturn:
    raise InvalidInputError("invalid_parameter", name="name", value=name[:40].replace("\x00", ""), reason=reason)
