"""Speech to text on the native surface: short clips at once, long files as jobs (R-VOICE-1, R-VOICE-4, R-VOICE-7)."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import BaseModel
from starlette.responses import JSONResponse

from simorgh_api import listening
from simorgh_api.asking import CLIENT_LEFT, ClientLeftError, ClosingStream, while_connected
from simorgh_api.deps import Blobs, DbSession, Reader, Settings, Writer
from simorgh_api.errors import native_shape, to_problem
from simorgh_api.listening import Heard
from simorgh_api.streams import SSE_HEADERS
from simorgh_api.surfaces import native_router
from simorgh_api.uploads.audio_fields import NATIVE_FORM, native_form
from simorgh_api.uploads.bodies import EarlyAnswer
from simorgh_api.uploads.one_file import body_of
from simorgh_api.usecases import jobs
from simorgh_api.usecases.voice import outcomes
from simorgh_api.voice_jobs import Tally, VoiceJobs, Voices
from simorgh_shared.domain.errors import AppError, NotFoundError
from simorgh_shared.domain.jobs import JobType, Lane
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.schemas.voice import (
    SegmentEvent,
    TranscriptFormat,
    TranscriptionJobView,
    TranscriptView,
    VoiceBroken,
    VoiceStarted,
)
from simorgh_shared.speech.transcript import Segment

router = native_router("/stt", "voice")
_RETRY_AFTER_S = 5
_PLAIN = {name: {"schema": {"type": "string"}} for name in ("text/plain", "text/vtt", "application/x-subrip")}
_EVENTS = {
    "description": "With `stream`, the data of the events `start`, `segments` … and `done`, or `error` at the end.",
    "oneOf": [
        VoiceStarted.model_json_schema(),
        {
            "properties": {
                "language": {"type": ["string", "null"]},
                "segments": {"type": "array", "items": {"$ref": "#/components/schemas/SegmentView"}},
            },
            "required": ["language", "segments"],
            "title": "SegmentEvent",
            "type": "object",
        },
        {"$ref": "#/components/schemas/TranscriptView"},
        VoiceBroken.model_json_schema(),
    ],
}


@router.post(
    "/transcribe",
    operation_id="transcribe",
    response_model=Answer[TranscriptView],
    openapi_extra=NATIVE_FORM,
    responses={
        200: {"content": {"text/event-stream": {"schema": _EVENTS}, **_PLAIN}},
        202: {"model": Answer[JobView], "description": "It takes long: the job, to be asked at `Location`."},
    },
)
async def transcribe(
    request: Request, settings: Settings, blobs: Blobs, voices: Voices, principal: Writer
) -> Answer[TranscriptView] | Response:
    """Write down what is said in an audio file, or translate it into English.

    Short clips are answered at once. What is longer than 30 s, or has waited so long, is answered with 202 and its job:
    `GET /api/stt/jobs/{id}` has the text so far and whole. With `stream` the answer begins once the job is queued, and
    the segments come as they are heard, however long the file is; what fails then is the last event. A client that
    leaves while it waits takes its job back.
    """
    body = body_of(request, settings.max_audio_bytes)
    tally = Tally(JobType.TRANSCRIBE, "api")
    try:
        form, queued = await listening.take(request, body, principal, voices, blobs, settings, native_form)
    except AppError as error:
        tally.ended("failed")
        if body.has_ended:
            raise
        return EarlyAnswer(native_shape(request, to_problem(request, error)), body)
    heard = Heard(voices, principal, form, queued, tally)
    try:
        if form.stream:
            return ClosingStream(_events(request, heard), heard, media_type="text/event-stream", headers=SSE_HEADERS)
        if queued.lane is Lane.LONG:
            return await accepted(voices, tally, principal.project_id, queued.job_id, "stt")
        now = await while_connected(request, heard.settled(settings.voice_wait_s, lambda now: now.lane is Lane.LONG))
    except ClientLeftError:
        await heard.aclose()
        return Response(status_code=CLIENT_LEFT)
    if not now.is_settled:
        return await accepted(voices, tally, principal.project_id, queued.job_id, "stt")
    view, segments = await _transcript(heard)
    tally.ended("answered")
    return listening.plain(form.response_format, view.text, segments) or Answer(
        data=listening.detailed(form, view, segments)
    )


@router.get(
    "/jobs/{job_id}",
    operation_id="get_transcription_job",
    response_model=Answer[TranscriptionJobView],
    responses={200: {"content": _PLAIN}},
)
def get_job(
    session: DbSession,
    principal: Reader,
    job_id: str,
    format: Annotated[
        TranscriptFormat, Query(description="`text`, `srt` and `vtt` are the text alone, as far as it has come.")
    ] = "json",
) -> Answer[TranscriptionJobView] | Response:
    """A job that writes down a file, with its text: partial while it runs (`is_complete` tells)."""
    now = outcomes.state(session, principal.project_id, job_id, JobType.TRANSCRIBE)
    found = outcomes.transcript(session, job_id, now)
    if format in ("text", "srt", "vtt"):
        if found is None and now.status.is_terminal:
            raise NotFoundError("transcript_gone", job_id=job_id, status=now.status)
        text, segments = ("", []) if found is None else (found[0].text, found[1])
        answer = listening.plain(format, text, segments)
        assert answer is not None
        answer.headers["x-transcript-complete"] = str(now.status.is_terminal).lower()
        return answer
    job = jobs.job(session, principal.project_id, job_id)
    view = None if found is None else found[0]
    if found is not None and format == "verbose_json":
        has_words = bool(now.spec.get("words"))
        view = outcomes.with_parts(found[0], found[1], segmented=True, words=has_words)
    return Answer(data=TranscriptionJobView(job=job, is_complete=now.status.is_terminal, transcript=view))


async def accepted(voices: VoiceJobs, tally: Tally, project_id: str, job_id: str, family: str) -> Response:
    """The answer while a job goes on without anybody waiting."""
    tally.ended("job")
    job = await voices.read(lambda session: jobs.job(session, project_id, job_id))
    headers = {"location": f"/api/{family}/jobs/{job_id}", "retry-after": str(_RETRY_AFTER_S)}
    return JSONResponse(Answer(data=job).model_dump(mode="json"), 202, headers)


async def _transcript(heard: Heard) -> tuple[TranscriptView, list[Segment]]:
    try:
        return await heard.transcript()
    except AppError:
        heard.tally.ended("failed")
        raise


async def _events(request: Request, heard: Heard) -> AsyncGenerator[str, None]:
    try:
        yield _event("start", VoiceStarted(job_id=heard.queued.job_id))
        async with contextlib.aclosing(heard.groups()) as groups:
            async for group in groups:
                if group is None:
                    yield ": still here\n\n"
                else:
                    segments = outcomes.segment_views(group.segments)
                    yield _event("segments", SegmentEvent(language=group.language, segments=segments))
        view, found = await heard.transcript()
        heard.tally.ended("answered")
        yield _event("done", listening.detailed(heard.form, view, found))
    except Exception as error:  # the answer has begun: nothing above this can turn an error into words any more
        problem = to_problem(request, error)
        heard.tally.ended("failed")
        yield _event("error", VoiceBroken(code=problem.code, error=problem.message))


def _event(name: str, data: BaseModel) -> str:
    return f"event: {name}\ndata: {data.model_dump_json()}\n\n"
