"""Live events over SSE: PostgreSQL has them all, one Redis reader per process makes them quick.

A stream subscribes first, then reads what PostgreSQL has beyond the client's last id, then sends what was pushed
beyond that; on a jump, or after two seconds of silence, it reads again. So nothing is missed or told twice, with or
without Redis. While it runs it asks again whether its watcher may see it.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from prometheus_client import Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from simorgh_api.usecases.jobs import events
from simorgh_shared.domain.jobs import TERMINAL
from simorgh_shared.logging import cause
from simorgh_shared.queue.channels import REDIS_EVENTS
from simorgh_shared.schemas.jobs import EventView

log = structlog.get_logger()
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
_SILENCE_S = 2.0
_COMMENT_S = 15.0
_ASK_AGAIN_S = 2.0  # with a silence before it and the read itself, a right that ended ends the stream within 5 s
_PAGE = 500
_CANCEL_AGAIN_S = 0.2


_STREAMS = Gauge("simorgh_event_streams", "Streams of jobs' events and waits for their ends that are open")


class Broadcast:
    """The process's one reader of the events channel; it wakes the streams of the job that a message names."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self.is_draining = False
        """Whether the process is to end: streams do so at once, and their clients go on elsewhere where they were."""

    def drain(self) -> None:
        """End the streams. Call it in the thread of the event loop."""
        self.is_draining = True
        for wakes in self._waiting.values():
            for wake in wakes:
                wake.set()

    def start(self) -> None:
        """Begin to read; call it in the event loop."""
        self._task = asyncio.create_task(self._read(), name="events-reader")

    async def stop(self) -> None:
        """Stop reading."""
        # Once is not enough: redis swallows a cancellation that meets it while it signs in at the server.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_CANCEL_AGAIN_S)

    @contextlib.contextmanager
    def subscribed(self, job_id: str) -> "Any":
        """An event that is set whenever this job has something new."""
        wake = asyncio.Event()
        self._waiting[job_id].add(wake)
        try:
            with _STREAMS.track_inprogress():
                yield wake
        finally:
            self._waiting[job_id].discard(wake)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def _read(self) -> None:
        while True:
            try:
                async with Redis.from_url(self._redis_url, socket_connect_timeout=2) as redis, redis.pubsub() as pubsub:
                    await pubsub.subscribe(REDIS_EVENTS)
                    async for message in pubsub.listen():
                        if message["type"] == "message":
                            for wake in self._waiting.get(json.loads(message["data"])["job_id"], ()):
                                wake.set()
            except (RedisError, OSError, ValueError) as error:
                log.warning("events_reader_lost", reason=cause(error))
                await asyncio.sleep(1.0)


async def woken(wake: asyncio.Event, within_s: float) -> None:
    """Wait until it is set, or for so many seconds.

    With `asyncio.wait_for`, Python 3.11 loses a cancellation that comes in the same turn of the loop as the event: the
    stream of a client that had left went on for as long as its job.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await wake.wait()


async def follow(
    sessions: sessionmaker[Session],
    broadcast: Broadcast,
    job_id: str,
    after: int,
    gone: Callable[[], Any],
    may_go_on: Callable[[Session], bool],
) -> AsyncIterator[str]:
    """The job's events beyond `after` as SSE text, until a terminal one, until the client has gone or may no more."""
    loop = asyncio.get_running_loop()
    with broadcast.subscribed(job_id) as wake:
        spoken_at = asked_at = loop.time()
        yield ": connected\n\n"
        while True:
            wake.clear()
            if loop.time() - asked_at >= _ASK_AGAIN_S:
                asked_at = loop.time()
                if not await run_in_threadpool(_may_go_on, sessions, may_go_on):
                    yield ": this right to the stream has ended\n\n"
                    return
            found = await run_in_threadpool(_read_events, sessions, job_id, after)
            for event in found:
                after, spoken_at = event.seq, loop.time()
                yield as_sse(event)
                if event.type in TERMINAL:
                    return
            if broadcast.is_draining:
                yield ": the server ends; the stream goes on at another\n\n"
                return
            if len(found) == _PAGE:
                continue
            if await gone():
                return
            await woken(wake, _SILENCE_S)
            if loop.time() - spoken_at >= _COMMENT_S:
                spoken_at = loop.time()
                yield ": still here\n\n"


def as_sse(event: EventView) -> str:
    """One event in the wire's form: id, name and JSON on one line."""
    data = {"seq": event.seq, "attempt": event.attempt, "at": event.at.isoformat(), **event.payload}
    return f"id: {event.seq}\nevent: {event.type}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def _read_events(sessions: sessionmaker[Session], job_id: str, after: int) -> list[EventView]:
    with sessions() as session:
        return events(session, job_id, after, _PAGE)


def _may_go_on(sessions: sessionmaker[Session], may_go_on: Callable[[Session], bool]) -> bool:
    with sessions() as session:
        return may_go_on(session)
