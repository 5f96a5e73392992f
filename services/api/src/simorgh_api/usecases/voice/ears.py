"""Which of a project's models hears an audio file (R-VOICE-1, R-VOICE-6)."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import models, purposes
from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.schemas.voice import VoiceTask
from simorgh_shared.speech.languages import heard_name, language_code

OPENAI_NAMES = frozenset({"whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"})
"""What OpenAI's users write: the project's own choice, unless a model of the project has this name."""


@dataclass(frozen=True)
class Ears:
    """A model that hears."""

    version_id: str
    name: str
    can: frozenset[str]
    languages: tuple[str, ...]
    """Empty where it hears all that Whisper knows."""

    def hears(self, language: str | None) -> bool:
        """Whether it may be asked for this language; None is any."""
        return language is None or not self.languages or language in self.languages


def ears(session: Session, project_id: str, name: str | None, language: str | None, task: VoiceTask) -> Ears:
    """The model of this name; without one, or by one of OpenAI's names, the newest that hears the language.

    Raises: NotFoundError for a model that there is not, InvalidInputError for one that cannot do this.
    """
    if name is not None and (found := _named(session, project_id, name)) is not None:
        return _require(found, language, task)
    rows = session.execute(_hearing(project_id)).all()
    known = [_ears(row.id, row.name, row.traits) for row in rows]
    if not known:
        raise NotFoundError("no_transcription_model")
    wanted = "translation" if task == "translate" else "transcription"
    fitting = [one for one in known if one.hears(language) and wanted in one.can]
    if fitting:
        return fitting[0]
    if language is not None and not any(one.hears(language) for one in known):
        raise NotFoundError("no_model_for_language", name="language", language=heard_name(language))
    return _require(known[0], language, task)


def all_ears(session: Session, project_id: str, language: str | None) -> list[Ears]:
    """The newest version of each model that hears the language, the newest model first.

    Raises: NotFoundError where there is none.
    """
    newest: dict[str, Ears] = {}
    for row in session.execute(_hearing(project_id)):
        newest.setdefault(row.name, _ears(row.id, row.name, row.traits))
    if not newest:
        raise NotFoundError("no_transcription_model")
    fitting = [one for one in newest.values() if one.hears(language)]
    if not fitting:
        raise NotFoundError("no_model_for_language", name="language", language=heard_name(language or ""))
    return fitting


def code_of(language: str | None) -> str | None:
    """Whisper's code of a language that somebody named.

    Raises: InvalidInputError.
    """
    if language is None or not language.strip():
        return None
    code = language_code(language)
    if code is None:
        raise InvalidInputError("language_unknown", name="language", value=language[:40])
    return code


def _named(session: Session, project_id: str, name: str) -> Ears | None:
    """None where one of OpenAI's names is not a model of the project."""
    try:
        version_id = models.resolve(session, project_id, name)
    except NotFoundError as error:
        if name in OPENAI_NAMES:
            return None
        raise NotFoundError("model_not_found", name="model", model=name) from error
    version = session.get_one(ModelVersion, version_id)
    found = _ears(version_id, name, version.traits)
    if "transcription" not in found.can:
        raise InvalidInputError("model_hears_nothing", name="model", model=name, reason=purposes.purpose(version))
    return found


def _require(found: Ears, language: str | None, task: VoiceTask) -> Ears:
    if not found.hears(language):
        known = ", ".join(heard_name(code) for code in found.languages)
        wanted = heard_name(language or "")
        raise InvalidInputError("model_language_unfit", name="language", model=found.name, known=known, language=wanted)
    if task == "translate" and "translation" not in found.can:
        raise InvalidInputError("model_no_translation", name="model", model=found.name)
    return found


def _hearing(project_id: str) -> "sa.Select[str, str, dict[str, Any]]":
    return (
        sa.select(ModelVersion.id, Model.name, ModelVersion.traits)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None), ModelVersion.manifest_id.is_not(None))
        .where(ModelVersion.traits["can"].contains(["transcription"]))
        .order_by(ModelVersion.id.desc())
    )


def _ears(version_id: str, name: str, traits: dict[str, Any]) -> Ears:
    return Ears(version_id, name, frozenset(traits.get("can", ())), tuple(traits.get("languages", ())))
