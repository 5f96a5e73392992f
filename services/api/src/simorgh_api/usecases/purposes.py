"""What a model is for, in words, for whoever asks it for something else."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from simorgh_shared.db.models import ModelVersion
from simorgh_shared.db.repositories import models as repository
from simorgh_shared.domain.errors import InvalidInputError


def purpose(version: ModelVersion) -> str:
    """The end of a sentence, without its full stop."""
    traits: Mapping[str, Any] = version.traits
    can, needs = traits.get("can", ()), traits.get("needs")
    if "transcription" in can:
        return "it writes down what is said in audio (POST /api/stt/transcribe)"
    if "speech" in can:
        return "it is a voice, which speaks texts (POST /api/tts/synthesize)"
    if "conversion" in can:
        return "it is a Whisper in another format, which has to be converted first (POST /api/models/{id}/convert)"
    if needs:
        return f"it is a voice whose letters need {', '.join(needs)}, which is not here"
    if version.kind == "speech":
        return f"it is a model of speech ({traits.get('architecture') or version.format}) that nothing here can use"
    return "it is a model of text"


def to_chat_with(session: Session, project_id: str, name: str) -> str:
    """The version id of the model that is to answer; whether an engine can serve it is for its server to say.

    Raises: NotFoundError; InvalidInputError for a model of speech.
    """
    version = repository.resolve(session, project_id, name)[1]
    if version.kind == "speech":
        raise InvalidInputError("model_no_chat", name="model", model=name[:80], reason=purpose(version))
    return version.id
