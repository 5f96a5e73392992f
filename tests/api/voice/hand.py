"""A worker driven by hand: it claims voice jobs and writes about them as workers do, with what a test has it say.

So a test sees what the gateway makes of each thing that may happen to a job: a real worker never does on command what
these tests ask. What it says is written by the engine's own functions and pushed as a worker pushes it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa
from redis import Redis
from sqlalchemy.orm import Session

from simorgh_shared.db.models import File, Transcript
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import Lane, Outcome
from simorgh_shared.queue import applying, claiming, endings
from simorgh_shared.queue.claiming import Offer
from simorgh_shared.queue.leases import AppliedEvent, Event, Lease
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.speech.transcript import Segment, Word, join_texts, to_builtins
from tests.support.engine import Engine, new_token

QUEUE = "voice.cpu"
SENTENCES = ("سلام دنیا.", "این دومین جمله است.", "و این آخری.")


@dataclass
class Hand:
    """The worker."""

    engine: Engine
    redis_url: str

    def __post_init__(self) -> None:
        self._redis: Redis = Redis.from_url(self.redis_url)
        self._publisher = Publisher(self._redis)
        self._lines: dict[tuple[str, int], int] = {}

    def close(self) -> None:
        """Close its connections."""
        self._redis.close()

    def clock_in(self) -> None:
        """Be listed as alive, for longer than any test."""
        with self.engine.sessions.begin() as session:
            session.execute(
                sa.text(
                    "INSERT INTO workers (id, queues, lanes, slots, heartbeat_at) VALUES ('hand', ARRAY[:queue],"
                    " ARRAY['short', 'long'], 2, now() + interval '1 day') ON CONFLICT DO NOTHING"
                ),
                {"queue": QUEUE},
            )

    @contextmanager
    def away(self) -> Iterator[None]:
        """Be gone for a while."""
        with self.engine.sessions.begin() as session:
            session.execute(sa.text("DELETE FROM workers"))
        try:
            yield
        finally:
            self.clock_in()

    def take(self, within_s: float = 20, **offer: Any) -> Lease:
        """Claim the next job, as soon as there is one."""
        taken: list[Lease] = []

        def is_taken() -> bool:
            with self.engine.sessions.begin() as session:
                lease = claiming.claim(session, Offer("hand", [QUEUE], **offer), token=new_token(), lease_s=600)
            if lease is not None:
                taken.append(lease)
            return lease is not None

        self.engine.wait(is_taken, "a job is there to be claimed", within_s)
        self._publisher.tell([taken[0].job_id])
        return taken[0]

    def say(self, lease: Lease, type_: str, payload: Mapping[str, Any]) -> None:
        """Write one event."""
        line = self._lines.get((lease.job_id, lease.attempt), 0)
        self._lines[lease.job_id, lease.attempt] = line + 1
        with self.engine.sessions.begin() as session:
            events = applying.apply_lines(
                session, lease, from_line=line, to_line=line + 1, events=[Event(type_, dict(payload))]
            )
        self._publisher.publish(events)

    def hear(self, lease: Lease, number: int, words: bool = False) -> None:
        """Say that a sentence was heard."""
        self.say(lease, "transcribed", {"number": number, "segments": to_builtins([segment(number, words)])} | _FA)

    def speak(self, lease: Lease, number: int, data: bytes, text: str | None = None, audio_s: float = 1.0) -> None:
        """Say that a part was spoken: its bytes are stored first."""
        digest = self._store(data)
        part = {"number": number, "sha256": digest, "bytes": len(data), "audio_s": audio_s}
        part |= {"text": SENTENCES[number] if text is None else text}
        self.say(lease, "part", part)

    def finish_hearing(self, lease: Lease, num: int = 3, words: bool = False, duration_s: float = 6.5) -> None:
        """End a transcription with so many sentences."""
        segments = [segment(number, words) for number in range(num)]
        text = join_texts((one.text for one in segments), "fa")
        result = {"language": "fa", "language_probability": 0.98, "duration_s": duration_s, "speech_s": 5.0}

        def keep(session: Session) -> dict[str, Any]:
            session.add(
                Transcript(
                    job_id=lease.job_id,
                    project_id=lease.project_id,
                    task=lease.spec["task"],
                    language="fa" if num else None,
                    language_probability=0.98 if num else None,
                    duration_s=duration_s,
                    text=text,
                    segments=to_builtins(segments),
                )
            )
            return {}

        self._end(lambda session: endings.succeed(session, lease, result, keep))

    def finish_speaking(self, lease: Lease, whole: bytes, num_parts: int) -> None:
        """End a speech with its file."""
        digest = self._store(whole)
        file_id = new_id("file")
        result = {"file_id": file_id, "bytes": len(whole), "sha256": digest, "format": lease.spec["format"]}
        result |= {"duration_s": 3.0, "num_parts": num_parts}

        def keep(session: Session) -> dict[str, Any]:
            names = {"id": file_id, "project_id": lease.project_id, "purpose": "speech", "name": "speech"}
            session.add(File(**names, sha256=digest, bytes=len(whole)))
            return {}

        self._end(lambda session: endings.succeed(session, lease, result, keep))

    def fail(self, lease: Lease, error: AppError) -> None:
        """End as failed for this reason."""
        self._end(lambda session: endings.fail(session, lease, error.code, dict(error.params)))

    def crash(self, lease: Lease) -> None:
        """Break down: the job goes back to its queue."""
        self._end(
            lambda session: endings.crash(session, lease, Outcome.CRASHED, "child_crashed", {"how": "", "tail": ""}, 0)
        )

    def move(self, lease: Lease) -> None:
        """Find out that the file is long."""
        with self.engine.sessions.begin() as session:
            events = endings.move(session, lease, Lane.LONG, {"duration_s": 61.0})
        self._publisher.publish(events)

    def leave(self, lease: Lease) -> None:
        """Leave as asked."""
        self._end(lambda session: endings.leave(session, lease))

    def _end(self, end: Callable[[Session], AppliedEvent]) -> None:
        with self.engine.sessions.begin() as session:
            event = end(session)
        self._publisher.publish([event])

    def _store(self, data: bytes) -> str:
        path = self.engine.folder / hashlib.sha256(data).hexdigest()
        path.write_bytes(data)
        return self.engine.store.put(self.engine.sessions, path).sha256


_FA = {"language": "fa", "language_probability": 0.98}


def segment(number: int, words: bool = False) -> Segment:
    """A sentence of two seconds."""
    text, begin = SENTENCES[number], 2.0 * number
    spoken = [Word(word, begin + place / 4, begin + place / 4 + 0.2, 0.9) for place, word in enumerate(text.split())]
    return Segment(number, begin, begin + 1.9, text, spoken if words else None, -0.2, 0.01, 1.1, 0.0, [50_364, 1, 2])


@contextmanager
def meanwhile(ask: Callable[[], httpx.Response]) -> "Iterator[Callable[[], httpx.Response]]":
    """Ask in another thread; the block is the worker's, and what is given waits for the answer."""
    with ThreadPoolExecutor(1, "asker") as threads:
        asked = threads.submit(ask)
        yield lambda: asked.result(timeout=60)


def server_events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """The events of a stream: name and data."""
    name = "message"
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
