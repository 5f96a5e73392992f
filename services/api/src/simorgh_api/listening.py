"""What both surfaces do with an audio file: take it, queue it, follow its job, and word what was heard."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import msgspec
from fastapi import Request
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from simorgh_api.settings import ApiSettings
from simorgh_api.uploads import one_file
from simorgh_api.uploads.bodies import Body
from simorgh_api.uploads.one_file import Fields
from simorgh_api.usecases import jobs, quotas
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.voice import asking, outcomes
from simorgh_api.usecases.voice.asking import Audio, Queued
from simorgh_api.usecases.voice.ears import Ears, code_of, ears
from simorgh_api.usecases.voice.outcomes import State
from simorgh_api.voice_jobs import Tally, VoiceJobs
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.schemas.jobs import EventView
from simorgh_shared.schemas.voice import ListeningForm, TranscriptView
from simorgh_shared.speech.subtitles import to_srt, to_vtt
from simorgh_shared.speech.transcript import Segment, segments_of
from simorgh_shared.storage.blobs import BlobStore

_PAGE = 200
_SILENT_LOOKS = 7  # of two seconds each; then a comment keeps the connection open


@dataclass(frozen=True)
class Group:
    """Some segments that were heard together."""

    language: str | None
    segments: list[Segment]


@dataclass
class Heard:
    """A transcription that somebody waits for. Closing it takes the job back, unless it has ended."""

    voices: VoiceJobs
    who: Principal
    form: ListeningForm
    queued: Queued
    tally: Tally
    now: State | None = None
    """As it was last seen."""

    async def aclose(self) -> None:
        """Nobody waits any more."""
        if self.now is None or not self.now.is_settled:
            self.tally.ended("left")
            await self.voices.take_back(self.who.project_id, self.queued.job_id)

    async def settled(self, wait_s: float, is_enough: Callable[[State], bool]) -> State:
        """The job once nothing more comes of it, once it is enough, or when the time is over."""
        self.now = await self.voices.settled(
            self.who.project_id, self.queued.job_id, JobType.TRANSCRIBE, wait_s, is_enough
        )
        return self.now

    async def groups(self) -> AsyncGenerator[Group | None, None]:
        """What is heard as it comes, from the beginning; None in a long silence. It ends when the job has settled."""
        after, num_segments, silent = 0, 0, 0
        async with contextlib.aclosing(self.voices.times_to_look(self.queued.job_id)) as times:
            async for _ in times:
                now, events = await self._news(after)
                self.now = now
                for event in events:
                    after = event.seq
                    segments = segments_of([event.payload])
                    numbered = [msgspec.structs.replace(one, id=num_segments + one.id) for one in segments]
                    yield Group(event.payload.get("language"), numbered)
                    num_segments += len(segments)
                if now.is_settled and len(events) < _PAGE:
                    return
                silent = 0 if events else silent + 1
                if silent >= _SILENT_LOOKS:
                    silent = 0
                    yield None

    async def transcript(self) -> tuple[TranscriptView, list[Segment]]:
        """What was heard in all.

        Raises: why there is nothing.
        """
        now, job_id = self.now, self.queued.job_id
        assert now is not None
        outcomes.require_success(job_id, now)
        found = await self.voices.read(lambda session: outcomes.transcript(session, job_id, now))
        if found is None:
            raise NotFoundError("transcript_gone", job_id=job_id, status=now.status)
        return found

    async def _news(self, after: int) -> tuple[State, list[EventView]]:
        job_id, project_id = self.queued.job_id, self.who.project_id

        def look(session: Session) -> tuple[State, list[EventView]]:
            # The state first: when it has settled, all events are there.
            now = outcomes.state(session, project_id, job_id, JobType.TRANSCRIBE)
            return now, jobs.events(session, job_id, after, _PAGE, "transcribed")

        return await self.voices.read(look)


async def take(
    request: Request,
    body: Body,
    who: Principal,
    voices: VoiceJobs,
    blobs: BlobStore,
    settings: ApiSettings,
    parse: Callable[[Fields, bool], ListeningForm],
) -> tuple[ListeningForm, Queued]:
    """Take the file and queue its transcription.

    Raises: AppErrors; those that the fields tell come before the file is read.
    """
    form, model = ListeningForm(), Ears("", "", frozenset(), ())

    async def check(fields: Fields, is_whole: bool) -> None:
        nonlocal form, model
        form = parse(fields, is_whole)
        if not is_whole:
            await voices.read(lambda session: _require_place(session, who))
        model = await voices.read(lambda session: _fitting(session, who, form))

    async with one_file.received(request, body, settings.max_audio_bytes, settings.upload_spool_dir, check) as sent:
        await voices.read(lambda session: quotas.require_room(session, who.project_id, sent.num_bytes))
        blob = await run_in_threadpool(blobs.put, voices.sessions, sent.path, sent.sha256)
    whole = Audio(sent.filename, blob)
    queued = await voices.queue(lambda session: asking.listen(session, who, whole, form, model, voices.bounds))
    return form, queued


def plain(form: str, text: str, segments: list[Segment]) -> Response | None:
    """The answer in a form that is no JSON; None for those that are."""
    if form == "text":
        return PlainTextResponse(f"{text}\n" if text else "")
    if form == "srt":
        return PlainTextResponse(to_srt(segments), media_type="application/x-subrip")
    if form == "vtt":
        return PlainTextResponse(to_vtt(segments), media_type="text/vtt")
    return None


def detailed(form: ListeningForm, view: TranscriptView, segments: list[Segment]) -> TranscriptView:
    """The view with what the form asks for."""
    if form.response_format != "verbose_json":
        return view
    wanted = form.timestamp_granularities or {"segment"}
    return outcomes.with_parts(view, segments, segmented="segment" in wanted, words="word" in wanted)


def _fitting(session: Session, who: Principal, form: ListeningForm) -> Ears:
    """The model that the fields mean."""
    return ears(session, who.project_id, form.model, code_of(form.language), form.task)


def _require_place(session: Session, who: Principal) -> None:
    """Nobody sends a file for nothing: worker, queue and room are looked at before it is read."""
    asking.queue_for_voice(session)
    quotas.admit_job(session, who.project_id, num_gpus=0)
