"""Text to speech on the native surface: audio as it is made, long texts as jobs (R-VOICE-2)."""

import re
from collections.abc import Iterator
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from simorgh_api import speaking
from simorgh_api.asking import CLIENT_LEFT, ClientLeftError, while_connected
from simorgh_api.deps import Blobs, DbSession, Reader, Settings, Writer
from simorgh_api.routes.stt import accepted
from simorgh_api.speaking import AUDIO, AudioStream, Speech
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import jobs
from simorgh_api.usecases.voice import outcomes, recordings, voices
from simorgh_api.usecases.voice.asking import Manner
from simorgh_api.usecases.voice.voices import Wanted
from simorgh_api.voice_jobs import Tally, Voices
from simorgh_shared.audio.formats import SpeechFormat
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.jobs import JobType, Lane
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.schemas.voice import SpeechBody, SpeechJobView, VoiceView
from simorgh_shared.storage.blobs import BlobStore, StoredBlob

router = native_router("/tts", "voice")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@router.post(
    "/synthesize",
    operation_id="synthesize",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The audio, sent as it is made.", **AUDIO},
        202: {"model": Answer[JobView], "description": "It takes long: the job, to be asked at `Location`."},
    },
)
async def synthesize(
    request: Request, body: SpeechBody, settings: Settings, blobs: Blobs, voice_jobs: Voices, principal: Writer
) -> Response:
    """Speak a text. The first audio leaves when the first sentence is spoken; the rest follows as it is made.

    A long text, or one that nobody begins to speak in time, is answered with 202 and its job: when that has ended,
    `GET /api/tts/jobs/{id}/audio` has the file. A client that leaves takes its job back.
    """
    tally = Tally(JobType.SYNTHESIZE, "api")
    wanted = Wanted(body.text, body.voice, body.language)
    manner = Manner(body.format, body.speed, body.pitch, body.verbalise)
    try:
        queued = await speaking.queue(voice_jobs, principal, wanted, manner, "text")
        speech = Speech(voice_jobs, blobs, principal, queued, tally)
        if queued.lane is Lane.LONG:
            return await accepted(voice_jobs, tally, principal.project_id, queued.job_id, "tts")
        first = await while_connected(request, speech.begin(settings.voice_wait_s))
    except ClientLeftError:
        await speech.aclose()
        return Response(status_code=CLIENT_LEFT)
    except AppError:
        tally.ended("failed")
        raise
    if first is None:
        return await accepted(voice_jobs, tally, principal.project_id, queued.job_id, "tts")
    return AudioStream(speaking.audio(first, speech), speech, media_type=SpeechFormat(body.format).media_type)


@router.get("/voices", operation_id="list_voices")
def list_voices(session: DbSession, principal: Reader) -> Answer[list[VoiceView]]:
    """The voices that can be asked for, the project's own first. OpenAI's names (`alloy` …) mean the default ones."""
    return Answer(data=voices.voices(session, principal.project_id))


@router.get("/jobs/{job_id}", operation_id="get_speech_job")
def get_job(session: DbSession, principal: Reader, job_id: str) -> Answer[SpeechJobView]:
    """A job that speaks a text: what it has made so far, and where the finished file is."""
    now = outcomes.state(session, principal.project_id, job_id, JobType.SYNTHESIZE)
    is_kept = recordings.is_kept(session, principal.project_id, now)
    return Answer(
        data=SpeechJobView(
            job=jobs.job(session, principal.project_id, job_id),
            audio_url=f"/api/tts/jobs/{job_id}/audio" if is_kept else None,
            parts=recordings.part_views(session, job_id),
        )
    )


@router.get(
    "/jobs/{job_id}/audio",
    operation_id="get_speech_audio",
    response_class=StreamingResponse,
    responses={200: {"description": "The whole file.", **AUDIO}, 206: {"description": "The range of it.", **AUDIO}},
)
async def get_audio(
    voice_jobs: Voices,
    principal: Reader,
    blobs: Blobs,
    job_id: str,
    range: Annotated[str | None, Header(max_length=100, description="One range of bytes.")] = None,
) -> Response:
    """The finished file, whole or a range of its bytes, as players ask for it."""

    def find(session: Session) -> tuple[StoredBlob, str]:
        now = outcomes.state(session, principal.project_id, job_id, JobType.SYNTHESIZE)
        return recordings.whole(session, principal.project_id, job_id, now), str((now.result or {})["format"])

    blob, form = await voice_jobs.read(find)
    audio_format = SpeechFormat(form)
    headers = {
        "accept-ranges": "bytes",
        "etag": f'"{blob.sha256}"',
        "content-disposition": f'inline; filename="{job_id}{audio_format.suffix}"',
    }
    begin, end, status = 0, blob.bytes, 200
    if range is not None and (given := _span(range, blob.bytes)) is not None:
        begin, end = given
        if begin >= end:
            return Response(status_code=416, headers=headers | {"content-range": f"bytes */{blob.bytes}"})
        status = 206
        headers["content-range"] = f"bytes {begin}-{end - 1}/{blob.bytes}"
    headers["content-length"] = str(end - begin)
    chunks = await run_in_threadpool(_opened, blobs, blob, begin, end - begin)
    return StreamingResponse(chunks, status, headers, media_type=audio_format.media_type)


def _span(given: str, num_bytes: int) -> tuple[int, int] | None:
    """From and to of the one range that was asked for, empty where nothing is there; None where all is meant."""
    match = _RANGE.fullmatch(given.replace(" ", ""))
    if match is None or match[0] == "bytes=-":
        return None  # several ranges, or another unit: the whole is an answer to them
    first, last = match.groups()
    if not first:
        return max(num_bytes - int(last), 0), num_bytes if int(last) else 0
    return int(first), min(int(last) + 1, num_bytes) if last else num_bytes


def _opened(blobs: BlobStore, blob: StoredBlob, begin: int, length: int) -> Iterator[bytes]:
    """The bytes, asked for before the answer begins: what is missing is told by a status."""
    chunks = blobs.read(blob, begin, length)
    first = next(chunks, b"")

    def all_of_it() -> Iterator[bytes]:
        yield first
        yield from chunks

    return all_of_it()
