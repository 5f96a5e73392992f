"""/v1/audio: transcriptions, translations and speech as OpenAI's clients ask for them (R-VOICE-1, 2 and 7).

Those clients would take a job for a transcript, so a request waits; past its time it is refused and its job taken back.
"""

import contextlib
import json
from collections.abc import AsyncGenerator
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.responses import JSONResponse

from simorgh_api import listening, speaking
from simorgh_api.asking import CLIENT_LEFT, ClientLeftError, ClosingStream, while_connected
from simorgh_api.deps import Blobs, Settings, Writer
from simorgh_api.errors import openai_shape, to_problem
from simorgh_api.listening import Heard
from simorgh_api.settings import ApiSettings
from simorgh_api.speaking import AUDIO, AudioStream, Speech
from simorgh_api.streams import SSE_HEADERS
from simorgh_api.surfaces import openai_router
from simorgh_api.uploads.audio_fields import TRANSCRIPTION_FORM, TRANSLATION_FORM, openai_form
from simorgh_api.uploads.bodies import EarlyAnswer
from simorgh_api.uploads.one_file import body_of
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.voice.asking import Manner
from simorgh_api.usecases.voice.voices import Wanted
from simorgh_api.voice_jobs import Tally, VoiceJobs, Voices
from simorgh_shared.audio.formats import SpeechFormat
from simorgh_shared.domain.errors import AppError, InvalidInputError, TooLargeError, UnavailableError
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.schemas.voice import (
    DurationUsage,
    ListeningForm,
    OpenAISpeechBody,
    OpenAITranscription,
    OpenAITranscriptionVerbose,
    TranscriptView,
    VoiceTask,
)
from simorgh_shared.speech.languages import LANGUAGES
from simorgh_shared.speech.transcript import Segment, join_texts
from simorgh_shared.storage.blobs import BlobStore

router = openai_router("/audio")
_RETRY_AFTER_S = 30
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": OpenAITranscription | OpenAITranscriptionVerbose,
        "content": {
            name: {"schema": {"type": "string"}}
            for name in ("text/plain", "text/vtt", "application/x-subrip", "text/event-stream")
        },
    }
}


@router.post(
    "/transcriptions",
    operation_id="create_transcription",
    response_model=None,
    openapi_extra=TRANSCRIPTION_FORM,
    responses=_ANSWERS,
)
async def transcribe(request: Request, settings: Settings, blobs: Blobs, voices: Voices, principal: Writer) -> Response:
    """Write down what is said in an audio file. `whisper-1` is the project's newest model that hears the language.

    What takes longer than a request may is refused with 413: POST /api/stt/transcribe answers it with a job. With
    `stream` the answer begins as soon as the job is queued, and what fails then is its last event.
    """
    return await _heard(request, settings, blobs, voices, principal, "transcribe")


@router.post(
    "/translations",
    operation_id="create_translation",
    response_model=None,
    openapi_extra=TRANSLATION_FORM,
    responses=_ANSWERS,
)
async def translate(request: Request, settings: Settings, blobs: Blobs, voices: Voices, principal: Writer) -> Response:
    """Write down in English what is said in another language."""
    return await _heard(request, settings, blobs, voices, principal, "translate")


@router.post(
    "/speech",
    operation_id="create_speech",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The audio, sent as it is made.",
            "content": {**AUDIO["content"], "text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def speech(
    request: Request, body: OpenAISpeechBody, settings: Settings, blobs: Blobs, voices: Voices, principal: Writer
) -> Response:
    """Speak a text. OpenAI's voices (`alloy` …) mean the default voice of the text's language."""
    if body.instructions is not None and body.instructions.strip():
        reason = "no voice here can follow it. Leave it out, and use speed or another voice"
        raise InvalidInputError("parameter_unsupported", name="instructions", reason=reason)
    tally = Tally(JobType.SYNTHESIZE, "v1")
    wanted = Wanted(body.input, body.voice_name, body.language, body.model)
    try:
        queued = await speaking.queue(voices, principal, wanted, Manner(body.response_format, body.speed), "input")
        spoken = Speech(voices, blobs, principal, queued, tally)
        first = await while_connected(request, spoken.begin(settings.v1_audio_wait_s))
    except ClientLeftError:
        await spoken.aclose()
        return Response(status_code=CLIENT_LEFT)
    except AppError:
        tally.ended("failed")
        raise
    if first is None:
        tally.ended("overdue")
        await voices.take_back(principal.project_id, queued.job_id)
        waited_s, instead = f"{settings.v1_audio_wait_s:g}", "/api/tts/synthesize"
        raise UnavailableError("voice_busy", retry_after_s=_RETRY_AFTER_S, waited_s=waited_s, instead=instead)
    if body.stream_format == "sse":
        events = speaking.events(first, spoken)
        return ClosingStream(events, spoken, media_type="text/event-stream", headers=SSE_HEADERS)
    media_type = SpeechFormat(body.response_format).media_type
    return AudioStream(speaking.audio(first, spoken), spoken, media_type=media_type)


async def _heard(
    request: Request, settings: ApiSettings, blobs: BlobStore, voices: VoiceJobs, who: Principal, task: VoiceTask
) -> Response:
    body = body_of(request, settings.max_audio_bytes)
    tally = Tally(JobType.TRANSCRIBE, "v1")
    parse = partial(openai_form, task=task)
    try:
        form, queued = await listening.take(request, body, who, voices, blobs, settings, parse)
    except AppError as error:
        tally.ended("failed")
        if body.has_ended:
            raise
        return EarlyAnswer(openai_shape(request, to_problem(request, error)), body)
    heard = Heard(voices, who, form, queued, tally)
    try:
        if form.stream:
            events = _events(request, heard)
            return ClosingStream(events, heard, media_type="text/event-stream", headers=SSE_HEADERS)
        now = await while_connected(request, heard.settled(settings.v1_audio_wait_s, lambda _: False))
        view, segments = await heard.transcript() if now.is_settled else (None, [])
    except ClientLeftError:
        await heard.aclose()
        return Response(status_code=CLIENT_LEFT)
    except AppError:
        tally.ended("failed")
        raise
    if view is None:
        tally.ended("overdue")
        await voices.take_back(who.project_id, queued.job_id)
        waited_s, instead = f"{settings.v1_audio_wait_s:g}", "/api/stt/transcribe"
        raise TooLargeError("audio_wait_exceeded", waited_s=waited_s, instead=instead)
    tally.ended("answered")
    return listening.plain(form.response_format, view.text, segments) or _json(form, view, segments)


def _json(form: ListeningForm, view: TranscriptView, segments: list[Segment]) -> Response:
    usage = DurationUsage(seconds=view.duration_s or 0.0)
    if form.response_format == "json":
        return JSONResponse(OpenAITranscription(text=view.text, usage=usage).model_dump())
    shown = listening.detailed(form, view, segments)
    language = "en" if view.task == "translate" else view.language or ""
    verbose = OpenAITranscriptionVerbose(
        task=view.task,
        language=LANGUAGES.get(language, language),
        duration=view.duration_s or 0.0,
        text=view.text,
        segments=shown.segments,
        words=shown.words,
        usage=usage,
    )
    return JSONResponse(verbose.model_dump(exclude_none=True))


async def _events(request: Request, heard: Heard) -> AsyncGenerator[str, None]:
    """`transcript.text.delta` with what is heard as it comes, and `transcript.text.done`; a comment goes ahead."""
    has_text = False
    try:
        yield ": queued\n\n"
        async with contextlib.aclosing(heard.groups()) as groups:
            async for group in groups:
                if group is None:
                    yield ": still here\n\n"
                    continue
                text = join_texts((one.text for one in group.segments), group.language or "")
                if text:
                    yield _event({"type": "transcript.text.delta", "delta": _space(group.language, has_text) + text})
                    has_text = True
        view, _ = await heard.transcript()
        heard.tally.ended("answered")
        yield _event({"type": "transcript.text.done", "text": view.text})
    except Exception as error:  # the answer has begun: nothing above this can turn an error into words any more
        heard.tally.ended("failed")
        problem = to_problem(request, error)
        kind = "server_error" if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        told = {"message": problem.message, "type": kind, "param": problem.param, "code": problem.code}
        yield f"data: {json.dumps({'error': told}, ensure_ascii=False)}\n\n"


def _space(language: str | None, has_text: bool) -> str:
    """What stands between two texts, so that all of them after each other are the whole text."""
    return join_texts(("|", "|"), language or "").strip("|") if has_text else ""


def _event(data: dict[str, str]) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
