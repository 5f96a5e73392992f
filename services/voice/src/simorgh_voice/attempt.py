"""One attempt of a speech job: gives an engine what it needs, applies what it says, passes on what is wanted, ends it.

It holds no database session during other work.
"""

import contextlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError

from simorgh_shared import tracing
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import DesiredState, Lane, Outcome
from simorgh_shared.queue import applying, endings, leases
from simorgh_shared.queue.leases import Event, LeaseLostError
from simorgh_shared.queue.submit import notify_queued
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob
from simorgh_shared.storage.folders import FolderCache
from simorgh_shared.worker.attempt import until_stored
from simorgh_shared.worker.kinds import Claimed
from simorgh_voice import metrics
from simorgh_voice.engine_child import EngineChild, EngineLostError
from simorgh_voice.engine_lines import Batch, sort_lines
from simorgh_voice.engines import Engines
from simorgh_voice.kinds import EngineKind, EnginePlan

log = structlog.get_logger()
_TICK_S = 0.05
_TAIL_CHARS = 1_000


@dataclass(frozen=True)
class Workplace:
    """What all attempts of a worker share."""

    engine: sa.Engine
    store: BlobStore
    folders: FolderCache
    engines: Engines
    work_dir: Path


@dataclass(frozen=True)
class WithEngine:
    """A kind of job whose attempts are requests to a warm engine."""

    workplace: Workplace
    kind: EngineKind

    def run(self, claimed: Claimed) -> None:
        """Run one attempt."""
        EngineAttempt(self.workplace, self.kind, claimed).run()


class _LeftError(Exception):
    """The attempt has ended before its engine was asked."""


class EngineAttempt:
    """One attempt of a job that an engine does."""

    def __init__(self, workplace: Workplace, kind: EngineKind, claimed: Claimed) -> None:
        self._at = workplace
        self._kind = kind
        self._claimed = claimed
        self._lease = claimed.lease
        self._heart = claimed.heart
        self._ledger = claimed.ledger
        self._draining = claimed.draining
        self._times = claimed.ledger.times
        self._folder = workplace.work_dir / self._lease.job_id / str(self._lease.attempt)
        self._output = self._folder / "output"
        self._line = 0
        self._begun = time.monotonic()
        self._last_word = self._begun
        self._asked_at: float | None = None
        self._is_resumed = False

    def run(self) -> None:
        """Ask an engine, follow it, end the attempt."""
        plan = self._plan()
        self._output.mkdir(parents=True)
        try:
            try:
                with tracing.span("materialise"):
                    request = self._request(plan)
            except _LeftError:
                return
            with self._at.engines.lent(self._lease.lane) as engine:
                self._last_word = time.monotonic()  # its files may have taken minutes to come
                self._claimed.meter.follow(engine.cpu_seconds, since_start=False)
                engine.ask(request)
                with tracing.span("engine"):
                    self._follow(engine)
        finally:
            shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _plan(self) -> EnginePlan:
        with self._ledger.sessions.begin() as session:
            plan = self._kind.plan(session, self._lease)
            waited_s = session.scalar(
                sa.text("SELECT extract(epoch FROM clock_timestamp() - queued_at)::float8 FROM jobs WHERE id = :id"),
                {"id": self._lease.job_id},
            )
        metrics.QUEUE_WAIT_SECONDS.labels(self._lease.lane).observe(max(0.0, float(waited_s or 0.0)))
        if plan.resumed is not None:
            self._is_resumed = True
            resumed = Event("resumed", dict(plan.resumed))
            events = self._ledger.persist(lambda session: leases.add_event(session, self._lease, resumed), self._heart)
            self._ledger.publish(events)
        return plan

    def _request(self, plan: EnginePlan) -> dict[str, Any]:
        """The request, its files at hand.

        Raises: AppError for what is damaged or gone in storage, UnavailableError when it is silent.
        """
        model_dir, source = None, None
        try:
            if plan.model_version_id is not None:
                model_dir = self._at.folders.folder(plan.model_version_id, plan.model_files, trust_unchanged=True)
        except ArtifactLostError as error:
            self._ledger.note_lost(error)
            raise AppError("model_damaged", model=plan.model_version_id, path=error.path) from error
        try:
            if plan.input is not None:
                source = self._folder / plan.input.path
                self._at.store.fetch(plan.input.blob, source)
        except ArtifactLostError as error:
            self._ledger.note_lost(error)
            raise AppError("audio_gone", name=str(self._lease.spec.get("name", ""))) from error
        if plan.inputs is not None:
            source = self._folder / "inputs"
            source.mkdir()
            for lost in plan.inputs.fill(source, self._at.store, self._require_wanted):
                self._ledger.note_lost(lost)
        return {
            "id": new_id("req"),
            "kind": self._lease.type,
            "model_key": plan.model_key,
            "model_dir": None if model_dir is None else str(model_dir.resolve()),
            "spec": self._lease.spec,
            "input": None if source is None else str(source.resolve()),
            "output": str(self._output.resolve()),
            "resume": plan.resume,
        }

    def _follow(self, engine: EngineChild) -> None:
        """Apply what the engine says until it has ended the request, or somebody wants something else."""
        while True:
            try:
                lines = engine.next_lines(_TICK_S)
            except EngineLostError:
                self._check_lease()
                how, tail = engine.kill(), engine.log_tail()[-_TAIL_CHARS:]
                self._crash(Outcome.CRASHED, "child_crashed", {"how": how.describe(), "tail": tail})
                return
            self._check_lease()
            if lines:
                self._last_word = time.monotonic()
                batch = sort_lines(lines, self._store_part)
                self._apply(batch)
                if batch.ending is not None:
                    self._end(batch.ending)
                    return
            if self._is_wanted_otherwise():  # after what is done already: nobody does it again
                return
            if time.monotonic() - self._last_word > self._times.liveness_s:
                engine.kill()
                self._crash(Outcome.STALLED, "child_stalled", {"silent_s": round(self._times.liveness_s)})
                return

    def _check_lease(self) -> None:
        if self._heart.lost:
            raise LeaseLostError(self._lease.job_id)

    def _require_wanted(self) -> None:
        """Raises: LeaseLostError; _LeftError where the user or the worker's end has ended the attempt."""
        self._check_lease()
        if self._is_wanted_otherwise():
            raise _LeftError

    def _is_wanted_otherwise(self) -> bool:
        """End the attempt if the user or the worker's end asks for that. The engine is told when it is let go.

        A short one may finish while the worker drains; long ones are given back at once, with what they have done.
        """
        lease, is_draining = self._lease, self._draining.is_set()
        if self._heart.wishes.desired_state is not DesiredState.RUN:
            self._ledger.finish(lambda session: endings.leave(session, lease))
            return True
        if not is_draining:
            return False
        self._asked_at = self._asked_at or time.monotonic()
        if (
            lease.lane is Lane.SHORT
            and time.monotonic() - self._asked_at < self._times.stop_grace_s
            and (not self._draining.are_children_late)
        ):
            return False
        self._ledger.finish(lambda session: endings.leave(session, lease, Outcome.DRAINED))
        return True

    def _store_part(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        blob = self._stored(str(line["path"]))
        return {"sha256": blob.sha256, "bytes": blob.bytes}

    def _stored(self, name: str) -> StoredBlob:
        path = self._output / name
        return until_stored(lambda: self._at.store.put(self._ledger.sessions, path), self._claimed)

    def _apply(self, batch: Batch) -> None:
        from_line, to_line = self._line, self._line + batch.num_lines
        events = self._ledger.persist(
            lambda session: applying.apply_lines(
                session,
                self._lease,
                from_line=from_line,
                to_line=to_line,
                events=batch.events,
                progress=batch.progress,
                saves=batch.saves,
            ),
            self._heart,
        )
        self._line = to_line
        self._ledger.publish(events)

    def _end(self, ending: Mapping[str, Any]) -> None:
        lease, ledger = self._lease, self._ledger
        match ending["type"]:
            case "result":
                self._succeed(ending)
            case "failed":
                code, params = str(ending["code"]), dict(ending.get("params", {}))
                ledger.finish(lambda session: endings.fail(session, lease, code, params))
            case "moved":
                self._move(float(ending["duration_s"]))
            case _:  # cancelled, though nobody here asked for it
                self._crash(Outcome.CRASHED, "job_failed", {"reason": "the engine gave the request up"})

    def _succeed(self, result: Mapping[str, Any]) -> None:
        lease, kind = self._lease, self._kind
        stored = self._stored(str(result["path"])) if "path" in result else None
        self._ledger.finish(
            lambda session: endings.succeed(
                session, lease, {}, lambda session: kind.keep(session, lease, result, stored)
            )
        )
        audio_s = float(result["duration_s"])
        metrics.AUDIO_SECONDS.labels(lease.type).inc(audio_s)
        if audio_s > 0 and not self._is_resumed:
            metrics.REAL_TIME_FACTOR.labels(lease.type).observe((time.monotonic() - self._begun) / audio_s)

    def _move(self, duration_s: float) -> None:
        """To the long lane, where a slot of this worker may wait for it: it is told at once."""
        lease, payload = self._lease, {"duration_s": duration_s}
        events = self._ledger.persist(lambda session: endings.move(session, lease, Lane.LONG, payload), self._heart)
        self._ledger.publish(events)
        log.info("job_moved", job_id=lease.job_id, duration_s=duration_s)
        with contextlib.suppress(DBAPIError):  # the dispatcher looks by itself, every few seconds
            notify_queued(self._at.engine, lease.queue)

    def _crash(self, outcome: Outcome, code: str, params: dict[str, Any]) -> None:
        self._ledger.crash(self._lease, outcome, code, params)
