"""What both surfaces do with a text to be spoken: queue it, and pass its audio on while it is made.

An answer holds the parts of one attempt alone: where another attempt begins after bytes went out, it is broken off, so
that nobody hears a sentence twice or takes half a speech for a whole one.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from simorgh_api.asking import ClosingStream
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.voice import asking, outcomes, recordings
from simorgh_api.usecases.voice.asking import Manner, Queued
from simorgh_api.usecases.voice.outcomes import State
from simorgh_api.usecases.voice.recordings import News
from simorgh_api.usecases.voice.voices import Wanted, choose
from simorgh_api.voice_jobs import Tally, VoiceJobs
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.jobs import JobStatus, JobType
from simorgh_shared.storage.blobs import BlobStore, StoredBlob

log = structlog.get_logger()
AUDIO = {"content": {"audio/*": {"schema": {"type": "string", "format": "binary"}}}}
"""How OpenAPI describes audio."""


class BrokenOffError(Exception):
    """A speech cannot be ended as it began."""


class AudioStream(ClosingStream):
    """Audio as it is made. Broken off, it ends without its last chunk, which every client takes for an error."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        except BrokenOffError as error:  # the server cuts the connection of an answer that was not completed
            log.warning("speech_broken_off", reason=str(error))


@dataclass
class Speech:
    """A speech that somebody waits for. Closing it takes the job back, unless it has ended."""

    voices: VoiceJobs
    blobs: BlobStore
    who: Principal
    queued: Queued
    tally: Tally
    now: State | None = None
    """As it was last seen."""
    _after: int = 0
    _attempt: int | None = None
    """Whose parts are passed on."""
    _num_parts: int = 0

    async def aclose(self) -> None:
        """Nobody waits any more."""
        if self.now is None or not self.now.is_settled:
            self.tally.ended("left")
            await self.voices.take_back(self.who.project_id, self.queued.job_id)

    async def begin(self, wait_s: float) -> bytes | None:
        """The first audio; None where none came in time.

        Raises: why there is none.
        """
        until = asyncio.get_running_loop().time() + wait_s
        async with contextlib.aclosing(self.voices.times_to_look(self.queued.job_id, until)) as times:
            async for _ in times:
                now, news = await self._look()
                blobs = self._taken(news)
                if blobs:
                    return await self._bytes(blobs)
                if now.is_settled:
                    outcomes.require_success(self.queued.job_id, now)
                    return await self._whole(now)
        return None

    async def rest(self) -> AsyncGenerator[bytes, None]:
        """The audio after the first.

        Raises: BrokenOffError.
        """
        if self.now is not None and self.now.status is JobStatus.SUCCEEDED and self._attempt is None:
            return  # the whole file went out as the first piece
        async with contextlib.aclosing(self.voices.times_to_look(self.queued.job_id)) as times:
            async for _ in times:
                has_more = True
                while has_more:
                    now, news = await self._look()
                    has_more = news.has_more
                    for blob in self._taken(news):
                        yield await self._bytes([blob])
                if now.status is JobStatus.SUCCEEDED:
                    if news.num_parts not in (None, self._num_parts):
                        raise BrokenOffError(f"{self._num_parts} of {news.num_parts} parts came")
                    return
                if now.is_settled:
                    raise BrokenOffError(f"the job is {now.status}")

    async def _look(self) -> tuple[State, News]:
        job_id, project_id, after = self.queued.job_id, self.who.project_id, self._after

        def look(session: Session) -> tuple[State, News]:
            now = outcomes.state(session, project_id, job_id, JobType.SYNTHESIZE)
            return now, recordings.news(session, job_id, after, now)

        self.now, news = now, _ = await self.voices.read(look)
        return now, news

    def _taken(self, news: News) -> list[StoredBlob]:
        """The new parts of the attempt that is passed on; before there is one, the newest is."""
        if self._attempt is not None and news.attempt != self._attempt:
            raise BrokenOffError(f"attempt {news.attempt} began while {self._attempt} was passed on")
        if news.parts:
            self._after = news.parts[-1].seq
        own = [part.blob for part in news.parts if part.attempt == news.attempt]
        if own:
            self._attempt = news.attempt
            self._num_parts += len(own)
        return own

    async def _bytes(self, blobs: list[StoredBlob]) -> bytes:
        """A part is a sentence or a few: small enough to be held."""

        def read() -> bytes:
            return b"".join(chunk for blob in blobs for chunk in self.blobs.read(blob))

        return await run_in_threadpool(read)

    async def _whole(self, now: State) -> bytes:
        blob = await self.voices.read(
            lambda session: recordings.whole(session, self.who.project_id, self.queued.job_id, now)
        )
        return await self._bytes([blob])


async def queue(voices: VoiceJobs, who: Principal, wanted: Wanted, manner: Manner, field: str) -> Queued:
    """Choose the voice and queue the speech; `field` is what the text is called where it came.

    Raises: AppErrors.
    """
    asking.require_speakable(wanted.text, field, voices.bounds)

    def put(session: Session) -> Queued:
        voice = choose(session, who.project_id, wanted)
        return asking.speak(session, who, wanted.text, voice, manner, voices.bounds)

    return await voices.queue(put)


async def audio(first: bytes, speech: Speech) -> AsyncGenerator[bytes, None]:
    """The bytes of a speech.

    Raises: BrokenOffError.
    """
    yield first
    try:
        async with contextlib.aclosing(speech.rest()) as pieces:
            async for piece in pieces:
                yield piece
    except AppError as error:  # the answer has begun: it can only be broken off
        raise BrokenOffError(str(error)) from error
    speech.tally.ended("answered")


async def events(first: bytes, speech: Speech) -> AsyncGenerator[str, None]:
    """The same as OpenAI's events."""
    try:
        async with contextlib.aclosing(audio(first, speech)) as pieces:
            async for piece in pieces:
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})
    except BrokenOffError as error:
        told = {"message": f"The speech broke off: {error}.", "type": "server_error", "param": None, "code": None}
        yield f"data: {json.dumps({'error': told})}\n\n"
        return
    result = (speech.now.result if speech.now is not None else None) or {}
    usage = {"type": "duration", "seconds": result.get("duration_s")}
    yield _event({"type": "speech.audio.done", "usage": usage})


def _event(data: dict[str, object]) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"
