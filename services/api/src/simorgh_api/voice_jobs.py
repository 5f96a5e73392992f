"""Voice jobs as both surfaces use them: queued, waited for by pushes, and taken back when nobody waits any more.

A push only wakes who waits: what a job came to is read from PostgreSQL.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import anyio
import sqlalchemy as sa
import structlog
from fastapi import Depends, Request
from prometheus_client import Counter, Histogram
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from simorgh_api.settings import ApiSettings
from simorgh_api.streams import Broadcast, woken
from simorgh_api.usecases.voice import asking, outcomes
from simorgh_api.usecases.voice.asking import Bounds, Queued
from simorgh_api.usecases.voice.outcomes import State
from simorgh_shared.domain.jobs import JobType
from simorgh_shared.logging import cause
from simorgh_shared.queue.channels import NOTIFY_CONTROL
from simorgh_shared.queue.submit import notify, notify_queued

T = TypeVar("T")
log = structlog.get_logger()
_SILENCE_S = 2.0  # a push may be lost
_ANSWERS = Counter("simorgh_voice_answers_total", "How voice requests ended", ["kind", "surface", "outcome"])
_WAITED = Histogram(
    "simorgh_voice_wait_seconds",
    "Time from the job's insertion to its answer or first audio",
    ["kind", "surface"],
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300),
)


@dataclass(frozen=True)
class VoiceJobs:
    """The voice jobs of the requests of one process."""

    sessions: sessionmaker[Session]
    engine: sa.Engine
    broadcast: Broadcast
    bounds: Bounds

    async def read(self, look: Callable[[Session], T]) -> T:
        """What `look` finds, in a short session in a thread."""

        def work() -> T:
            with self.sessions() as session:
                return look(session)

        return await run_in_threadpool(work)

    async def queue(self, put: Callable[[Session], Queued]) -> Queued:
        """Put a job on its queue in one transaction, and tell of it after the commit."""

        def work() -> Queued:
            with self.sessions.begin() as session:
                queued = put(session)
            notify_queued(self.engine, queued.queue)
            return queued

        return await run_in_threadpool(work)

    async def times_to_look(self, job_id: str, until: float = float("inf")) -> AsyncGenerator[None, None]:
        """Now, whenever the job may have something new, and a last time when the event loop's clock says `until`."""
        loop = asyncio.get_running_loop()
        with self.broadcast.subscribed(job_id) as wake:
            while True:
                wake.clear()
                yield
                left = until - loop.time()
                if left <= 0:
                    return
                await woken(wake, min(left, _SILENCE_S))

    async def settled(
        self, project_id: str, job_id: str, kind: JobType, wait_s: float, is_enough: Callable[[State], bool]
    ) -> State:
        """The job once nothing more comes of it, once it is enough, or when the time is over."""
        until = asyncio.get_running_loop().time() + wait_s
        async with contextlib.aclosing(self.times_to_look(job_id, until)) as times:
            async for _ in times:
                now = await self.state(project_id, job_id, kind)
                if now.is_settled or is_enough(now):
                    break
        return now

    async def state(self, project_id: str, job_id: str, kind: JobType) -> State:
        """The job now."""
        return await self.read(lambda session: outcomes.state(session, project_id, job_id, kind))

    async def take_back(self, project_id: str, job_id: str) -> None:
        """Cancel a job that nobody waits for any more, whoever cancels this meanwhile."""

        def work() -> None:
            try:
                with self.sessions.begin() as session:
                    is_asked = asking.take_back(session, project_id, job_id)
                if is_asked:
                    notify(self.engine, NOTIFY_CONTROL, job_id)
            except SQLAlchemyError as error:  # nobody is there to be told; the job runs to its end
                log.warning("voice_job_not_taken_back", job_id=job_id, reason=cause(error))

        with anyio.CancelScope(shield=True):
            await run_in_threadpool(work)


class Tally:
    """How one request goes, for the metrics."""

    def __init__(self, kind: JobType, surface: str) -> None:
        self._labels = (str(kind), surface)
        self._began = time.monotonic()

    def ended(self, outcome: str) -> None:
        """Count the answer: `answered`, `job`, `failed`, `left` or `overdue`."""
        _ANSWERS.labels(*self._labels, outcome).inc()
        if outcome == "answered":
            _WAITED.labels(*self._labels).observe(time.monotonic() - self._began)


async def get_voice_jobs(request: Request) -> VoiceJobs:
    """The process's voice jobs."""
    state = request.app.state
    settings: ApiSettings = state.settings
    bounds = Bounds(
        settings.short_audio_s,
        settings.max_audio_s,
        settings.short_audio_bytes,
        settings.short_speech_chars,
        settings.max_speech_chars,
    )
    return VoiceJobs(state.sessions, state.engine, state.broadcast, bounds)


Voices = Annotated[VoiceJobs, Depends(get_voice_jobs)]
