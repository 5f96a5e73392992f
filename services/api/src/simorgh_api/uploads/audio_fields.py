"""What is said beside an audio file: the form's fields on either surface, and their description for the contract."""

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from simorgh_api.uploads.one_file import Fields
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.voice import ListeningForm, VoiceTask
from simorgh_shared.schemas.wording import reason_of, shown

_COMMON = ("model", "language", "prompt", "temperature", "response_format")
_NATIVE = (*_COMMON, "task", "timestamp_granularities", "vad_filter", "stream")
_TRANSCRIPTION = (*_COMMON, "timestamp_granularities", "vad_filter", "stream", "include", "chunking_strategy")
_TRANSLATION = _COMMON
_LISTS = frozenset({"timestamp_granularities", "include"})
_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
_UNSUPPORTED: Mapping[str, str] = {
    "include": "no engine here tells the probabilities of tokens",
    "languages": "name one language as language, or none to have it detected",
    "keywords": "write them into prompt",
    "known_speaker_names": "speakers are not told apart",
    "known_speaker_references": "speakers are not told apart",
}
_STREAMED = ("json", "text")


def native_form(fields: Fields, is_whole: bool) -> ListeningForm:
    """The fields of /api/stt/transcribe.

    Raises: InvalidInputError.
    """
    del is_whole  # each field stands for itself
    return _form(_values(fields, _NATIVE))


def openai_form(fields: Fields, is_whole: bool, task: VoiceTask) -> ListeningForm:
    """The fields of /v1/audio/transcriptions and /v1/audio/translations, as OpenAI's clients send them.

    What only all fields together tell is looked at once the form is whole: they come before and after the file.

    Raises: InvalidInputError.
    """
    values = _values(fields, _TRANSCRIPTION if task == "transcribe" else _TRANSLATION)
    if task == "translate" and (given := values.get("response_format", "json")) not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise InvalidInputError("translation_format", name="response_format", value=str(given)[:40], known=known)
    if is_whole and "model" not in values:
        raise InvalidInputError("invalid_body", name="model", where="model", reason="name one of GET /v1/models")
    _require_known_chunking(values.pop("chunking_strategy", None))
    form = _form(values | {"task": task})
    if is_whole:
        _require_fitting(form)
    return form


def _require_fitting(form: ListeningForm) -> None:
    if form.timestamp_granularities and form.response_format != "verbose_json":
        reason = "it needs response_format=verbose_json"
        raise InvalidInputError("parameter_unsupported", name="timestamp_granularities", reason=reason)
    if form.stream and form.response_format not in _STREAMED:
        reason = f"with stream it is one of {', '.join(_STREAMED)}"
        value = form.response_format
        raise InvalidInputError("invalid_parameter", name="response_format", value=value, reason=reason)


def _values(fields: Fields, known: Collection[str]) -> dict[str, Any]:
    """Each field by its plain name; an empty one says nothing."""
    values: dict[str, Any] = {}
    for sent, given in fields.items():
        name = sent.partition("[")[0]
        texts = [text for text in given if text.strip()]
        if name in _UNSUPPORTED and texts:
            raise InvalidInputError("parameter_unsupported", name=name, reason=_UNSUPPORTED[name])
        if name not in known:
            raise InvalidInputError("unknown_parameter", name=sent[:40], known=", ".join(["file", *known]))
        if name in _LISTS:
            values.setdefault(name, []).extend(word.strip() for text in texts for word in text.split(","))
        elif name == "chunking_strategy":
            values.setdefault(name, {})[sent] = texts[-1] if texts else ""
        elif sent != name or len(given) > 1:
            raise InvalidInputError("invalid_body", where="the form", reason=f"{name} stands in it twice")
        elif texts:
            values[name] = texts[0]
    return values


def _require_known_chunking(given: Mapping[str, str] | None) -> None:
    """Stretches of speech are cut at silences in any case: `auto` and `server_vad` ask for what is done."""
    for sent, text in (given or {}).items():
        told = "".join(text.split())
        is_known = sent in ("chunking_strategy", "chunking_strategy[type]") and told in (
            "",
            "auto",
            "server_vad",
            '{"type":"server_vad"}',
        )
        if not is_known:
            reason = "speech is found by the engine's own detector, whose bounds cannot be set"
            raise InvalidInputError("parameter_unsupported", name="chunking_strategy", reason=reason)


def _form(values: Mapping[str, Any]) -> ListeningForm:
    try:
        return ListeningForm.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "the form"
        raise InvalidInputError(
            "invalid_parameter", name=name, value=shown(first.get("input")), reason=reason_of(first)
        ) from error


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_GRANULARITIES = {
    "type": "array",
    "items": {"type": "string", "enum": ["word", "segment"]},
    "description": "With verbose_json: what has times. Default: segments.",
}
_PROPERTIES: Mapping[str, dict[str, Any]] = {
    "file": {"type": "string", "format": "binary", "description": "wav, mp3, flac, ogg, webm, m4a, mp4 or aac."},
    "model": _text("A Whisper model by name, id, version or alias; `whisper-1` is the newest that fits."),
    "language": _text("What is spoken, as a code (`fa`) or a name (`persian`). Default: detected."),
    "prompt": _text("Text that is taken to come before: spellings and style follow it."),
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "response_format": _text("What the answer is.", enum=[*_FORMATS], default="json"),
    "task": _text("`translate` writes English, whatever is spoken.", enum=["transcribe", "translate"]),
    "timestamp_granularities[]": _GRANULARITIES,
    "vad_filter": {"type": "boolean", "default": True, "description": "Leave out what is no speech."},
    "stream": {"type": "boolean", "default": False, "description": "Answer with server-sent events."},
    "include[]": {"type": "array", "items": {"type": "string"}, "description": "Refused: no logprobs are told."},
    "chunking_strategy": _text("`auto`, or an object with the type `server_vad`: what is done in any case."),
}


def described(known: Collection[str], required: Collection[str]) -> dict[str, Any]:
    """A form as OpenAPI describes it: the routes read the body themselves, so nobody can derive this."""
    properties = {name: text for name, text in _PROPERTIES.items() if name.partition("[")[0] in ("file", *known)}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["file", *required],
        "properties": properties,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


NATIVE_FORM = described(_NATIVE, ())
TRANSCRIPTION_FORM = described(_TRANSCRIPTION, ("model",))
TRANSLATION_FORM = described(_TRANSLATION, ("model",))
