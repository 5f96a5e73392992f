"""Which voice speaks a text: voices of the project's models, and eSpeak NG's, which are always there (R-VOICE-2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_api.usecases import models, purposes
from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.schemas.voice import VoiceView
from simorgh_shared.speech.languages import language_code
from simorgh_shared.speech.scripts import language_of
from simorgh_shared.speech.voices import ESPEAK_LANGUAGES, ESPEAK_PREFIX, espeak_key, language_name

OPENAI_MODELS = frozenset({"tts-1", "tts-1-hd", "gpt-4o-mini-tts"})
OPENAI_VOICES = frozenset(
    "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()  # noqa: SIM905
)
"""What OpenAI's users write: here they mean the default voice of the text's language."""
_ESPEAK = "espeak"
_ESPEAK_LICENCE = "GPL-3.0-or-later"


@dataclass(frozen=True)
class Voice:
    """Who speaks, and in which language the text is read."""

    voice: str
    """As a job's spec has it: `espeak:fa`, or the id of a model's version."""
    name: str
    language: str


@dataclass(frozen=True)
class _Neural:
    version_id: str
    name: str
    languages: tuple[str, ...]

    def speaks(self, language: str) -> bool:
        return not self.languages or _primary(language) in {_primary(own) for own in self.languages}


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for."""

    text: str
    voice: str | None = None
    language: str | None = None
    model: str | None = None


def choose(session: Session, project_id: str, wanted: Wanted) -> Voice:
    """The voice that is meant.

    Raises: NotFoundError for a voice or model that there is not; InvalidInputError for what does not go together.
    """
    language = _language(wanted.language)
    name = None if wanted.voice in OPENAI_VOICES else wanted.voice
    if wanted.model is not None and wanted.model not in OPENAI_MODELS:
        name = _of_model(session, project_id, wanted.model, name)
    if name is None:
        return _default(session, project_id, language or language_of(wanted.text))
    if name.lower() == _ESPEAK:
        return _espeak(language or language_of(wanted.text))
    if (key := _espeak_voice(name)) is not None and not _is_model(session, project_id, name):
        if language is not None and _primary(language) != _primary(key):
            raise _unfit(name, (key,), language)
        return Voice(f"{ESPEAK_PREFIX}{key}", f"{ESPEAK_PREFIX}{key}", key)
    found = _named(session, project_id, name)
    if language is not None and not found.speaks(language):
        raise _unfit(name, found.languages, language)
    told = language or language_of(wanted.text)
    return Voice(found.version_id, found.name, told if found.speaks(told) else found.languages[0])


def voices(session: Session, project_id: str) -> list[VoiceView]:
    """All voices: the project's own first, the newest of them first."""
    neural = _all_neural(session, project_id)
    taken: set[str] = set()
    listed: list[VoiceView] = []
    for one in neural:
        is_default = any(language not in taken for language in one.languages)
        taken |= set(one.languages)
        listed.append(_view(one.name, one.name, one.languages, is_default, one.version_id))
    for key in ESPEAK_LANGUAGES:
        voice = f"{ESPEAK_PREFIX}{key}"
        listed.append(_view(voice, f"eSpeak NG {ESPEAK_LANGUAGES[key].english}", (key,), key not in taken, None))
    return listed


def _view(voice: str, name: str, languages: Sequence[str], is_default: bool, version_id: str | None) -> VoiceView:
    is_neural = version_id is not None
    return VoiceView(
        voice=voice,
        name=name,
        languages=list(languages),
        language_names=[language_name(language) for language in languages],
        engine="vits" if is_neural else "espeak",
        model_version_id=version_id,
        licence=None if is_neural else _ESPEAK_LICENCE,
        can_pitch=not is_neural,
        is_default=is_default,
    )


def _default(session: Session, project_id: str, language: str) -> Voice:
    for one in _all_neural(session, project_id):
        if one.languages and one.speaks(language):
            return Voice(one.version_id, one.name, language)
    return _espeak(language)


def _espeak(language: str) -> Voice:
    key = espeak_key(language)
    if key is None:
        raise NotFoundError("no_voice_for_language", name="language", language=language_name(language))
    return Voice(f"{ESPEAK_PREFIX}{key}", f"{ESPEAK_PREFIX}{key}", key)


def _espeak_voice(name: str) -> str | None:
    """The language of an eSpeak voice by its name: `espeak:fa` or `fa`; None for what is no such name."""
    if name.lower().startswith(ESPEAK_PREFIX):
        key = espeak_key(name[len(ESPEAK_PREFIX) :])
        if key is None:
            raise NotFoundError("voice_unknown", name="voice", voice=name[:80])
        return key
    plain = name.lower().replace("_", "-")
    return plain if plain in ESPEAK_LANGUAGES else None


def _of_model(session: Session, project_id: str, model: str, voice: str | None) -> str:
    """The voice's name, where a model was named beside it."""
    if model.lower() == _ESPEAK:
        if voice is not None and voice.lower() != _ESPEAK and _espeak_voice(voice) is None:
            raise InvalidInputError("voice_model_unfit", name="voice", voice=voice[:80], model=model)
        return voice or _ESPEAK
    own = _named(session, project_id, model, is_voice=False)
    if voice is None:
        return own.version_id
    if not _is_model(session, project_id, voice) or _named(session, project_id, voice).version_id != own.version_id:
        raise InvalidInputError("voice_model_unfit", name="voice", voice=voice[:80], model=model[:80])
    return own.version_id


def _is_model(session: Session, project_id: str, name: str) -> bool:
    try:
        models.resolve(session, project_id, name)
    except NotFoundError:
        return False
    return True


def _named(session: Session, project_id: str, name: str, *, is_voice: bool = True) -> _Neural:
    field = "voice" if is_voice else "model"
    try:
        version_id = models.resolve(session, project_id, name)
    except NotFoundError as error:
        if not is_voice:
            raise NotFoundError("model_not_found", name=field, model=name[:80]) from error
        raise NotFoundError("voice_unknown", name=field, voice=name[:80]) from error
    version, own_name = session.execute(
        sa.select(ModelVersion, Model.name)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(ModelVersion.id == version_id)
    ).one()
    if "speech" not in version.traits.get("can", ()):
        reason = purposes.purpose(version)
        raise InvalidInputError("model_speaks_nothing", name=field, model=name[:80], reason=reason)
    return _neural(version_id, own_name, version.traits)


def _all_neural(session: Session, project_id: str) -> list[_Neural]:
    """The newest version of each model that speaks, the newest first."""
    rows = session.execute(
        sa.select(ModelVersion.id, Model.name, ModelVersion.traits)
        .join(Model, Model.id == ModelVersion.model_id)
        .where(Model.project_id == project_id, Model.deleted_at.is_(None), ModelVersion.manifest_id.is_not(None))
        .where(ModelVersion.traits["can"].contains(["speech"]))
        .order_by(ModelVersion.id.desc())
    )
    newest: dict[str, _Neural] = {}
    for row in rows:
        newest.setdefault(row.name, _neural(row.id, row.name, row.traits))
    return list(newest.values())


def _neural(version_id: str, name: str, traits: dict[str, Any]) -> _Neural:
    return _Neural(version_id, name, tuple(traits.get("languages", ())))


def _language(given: str | None) -> str | None:
    if given is None or not given.strip():
        return None
    found = espeak_key(given) or language_code(given)
    if found is None:
        raise InvalidInputError("language_unknown", name="language", value=given[:40])
    return found


def _unfit(voice: str, known: Sequence[str], language: str) -> InvalidInputError:
    named = ", ".join(language_name(one) for one in known)
    wanted = language_name(language)
    return InvalidInputError("voice_language_unfit", name="voice", voice=voice[:80], known=named, language=wanted)


def _primary(language: str) -> str:
    return language.lower().partition("-")[0]
