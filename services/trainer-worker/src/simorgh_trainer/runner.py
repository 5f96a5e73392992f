"""Runs one claimed job to the end of its attempt: heartbeat, events, checkpoints, wishes, ending.

It never imports what a child runs, opens no path of the child's, and holds no database session during other work.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.domain.errors import AppError, UnavailableError
from simorgh_shared.domain.jobs import DesiredState, Outcome
from simorgh_shared.queue import applying, checkpoints, endings, leases, parents
from simorgh_shared.queue.endings import Exit
from simorgh_shared.queue.leases import AppliedEvent, Lease, LeaseLostError
from simorgh_shared.queue.publishing import Publisher
from simorgh_shared.settings import LeaseSettings
from simorgh_shared.storage.blobs import ArtifactLostError, mark_lost
from simorgh_trainer.child_events import Batch, sort_lines
from simorgh_trainer.heartbeat import Heartbeat
from simorgh_trainer.jobs.kinds import IN_PROCESS, WITH_CHILD, ChildKind, InProcessKind
from simorgh_trainer.process import ChildRun, InputLostError, Launcher
from simorgh_trainer.uploads import CheckpointUploads

log = structlog.get_logger()
_T = TypeVar("_T")
_TICK_S = 0.05  # events wait at most two of these: 100 ms
_RETRY_S = 0.5


@dataclass(frozen=True)
class Runner:
    """Runs claimed jobs; one instance serves all slots of a worker."""

    sessions: sessionmaker[Session]
    launcher: Launcher
    publisher: Publisher
    times: LeaseSettings
    draining: threading.Event
    heartbeats: dict[str, Heartbeat]
    """The live ones by job, for whoever is told that a job is wanted otherwise."""

    def run(self, lease: Lease) -> None:
        """Run one attempt. Whatever happens, the job's row is left in a state that someone goes on from."""
        with Heartbeat(self.sessions, lease, self.times) as heart:
            self.heartbeats[lease.job_id] = heart
            try:
                if lease.type in IN_PROCESS:
                    self._run_in_process(lease, IN_PROCESS[lease.type])
                else:
                    Attempt(self, lease, heart, WITH_CHILD[lease.type]).run()
            except LeaseLostError:
                log.warning("lease_lost", job_id=lease.job_id, attempt=lease.attempt)
                leases.note_stale_write(self.sessions, lease, "run")
            except ArtifactLostError as error:
                self.note_lost(error)
                self._fail(lease, "artifact_lost", {"path": error.path})
            except UnavailableError as error:
                self._crash(lease, Outcome.CRASHED, "job_failed", {"reason": str(error)}, None)
            except AppError as error:
                self._fail(lease, error.code, dict(error.params))
            except Exception as error:
                log.exception("attempt_broke", job_id=lease.job_id, attempt=lease.attempt)
                reason = f"{type(error).__name__} in the worker; its log says more"
                self._crash(lease, Outcome.CRASHED, "job_failed", {"reason": reason}, None)
            finally:
                self.heartbeats.pop(lease.job_id, None)

    def persist(self, write: Callable[[Session], _T], heart: Heartbeat | None = None) -> _T:
        """Run one fenced transaction, again and again while the database does not answer, within the grace.

        Raises: LeaseLostError; DBAPIError when the grace is over.
        """
        deadline = time.monotonic() + self.times.orphan_grace_s
        while True:
            try:
                with self.sessions.begin() as session:
                    return write(session)
            except DBAPIError as error:
                if not error.connection_invalidated and not _is_outage(error):
                    raise
                if time.monotonic() > deadline or (heart is not None and heart.lost):
                    raise
                log.warning("database_unreachable", reason=type(error).__name__)
                time.sleep(_RETRY_S)

    def finish(self, write: Callable[[Session], AppliedEvent]) -> None:
        """End the attempt and tell the listeners."""
        event = self.persist(write)
        self.publisher.publish([event])
        log.info("attempt_ended", job_id=event.job_id, attempt=event.attempt, status=event.type)

    def note_lost(self, lost: ArtifactLostError) -> None:
        """Remember that an object is gone or damaged, so that the same bytes are stored anew."""
        sha256 = lost.sha256
        if sha256 is not None:
            self.persist(lambda session: mark_lost(session, sha256))
        log.error("artifact_lost", path=lost.path, sha256=sha256)

    def _run_in_process(self, lease: Lease, kind: InProcessKind) -> None:
        with self.sessions() as session:
            children = parents.children(session, lease.job_id)
        try:
            outcome = kind.run(lease.spec, children)
        except ValueError as error:
            self._fail(lease, "job_failed", {"reason": str(error)})
            return
        if isinstance(outcome, dict):
            self.finish(lambda session: endings.succeed(session, lease, outcome))
        else:
            self.finish(lambda session: parents.wait_for(session, lease, outcome))

    def _fail(self, lease: Lease, code: str, params: dict[str, Any]) -> None:
        self.finish(lambda session: endings.fail(session, lease, code, params))

    def _crash(self, lease: Lease, outcome: Outcome, code: str, params: dict[str, Any], how: Exit | None) -> None:
        backoff_s = self.times.retry_backoff_s
        self.finish(lambda session: endings.crash(session, lease, outcome, code, params, backoff_s, how))


class Attempt:
    """One attempt of a job that has a child."""

    def __init__(self, runner: Runner, lease: Lease, heart: Heartbeat, kind: ChildKind) -> None:
        self._runner = runner
        self._kind = kind
        self._lease = lease
        self._heart = heart
        self._times = runner.times
        self._line = 0
        self._control: dict[str, Any] = {"desired_state": "run", "drain": False, "checkpoint_request": 0}
        self._seen_request: datetime | None = None
        self._asked_at: float | None = None
        self._killed_for: Outcome | None = None
        self._last_word = time.monotonic()
        self._ending: dict[str, Any] | None = None

    def run(self) -> None:
        """Start the child, follow it, end the attempt."""
        child = self._start()
        log.info("child_started", job_id=self._lease.job_id, attempt=self._lease.attempt)
        uploads = CheckpointUploads(child, self._commit_checkpoint)
        try:
            how = self._follow(child, uploads)
            if self._killed_for is None and self._wants() is not DesiredState.CANCEL:
                uploads.finish(self._times.orphan_grace_s)
                if uploads.error is not None:
                    raise uploads.error
            self._end(child, how)
        finally:
            child.kill()
            uploads.abandon()
            child.close()

    def _start(self) -> ChildRun:
        """Start the child; a checkpoint that storage has lost is given up for the one before."""
        while True:
            with self._runner.sessions() as session:
                plan = self._kind.plan(session, self._lease)
            try:
                return self._runner.launcher.start(self._lease.job_id, self._lease.attempt, plan)
            except InputLostError as error:
                checkpoint_id = self._lease.checkpoint_id
                if error.folder != "checkpoint" or checkpoint_id is None:
                    raise
                self._give_up_checkpoint(checkpoint_id, error)

    def _give_up_checkpoint(self, checkpoint_id: str, lost: ArtifactLostError) -> None:
        self._runner.note_lost(lost)
        self._lease, event = self._runner.persist(
            lambda session: checkpoints.lose(session, self._lease, checkpoint_id, lost.path), self._heart
        )
        self._runner.publisher.publish([event])

    def _follow(self, child: ChildRun, uploads: CheckpointUploads) -> Exit:
        """Apply what the child says and pass on what the user wants, until it has ended."""
        while True:
            how = child.poll()  # before reading: what it wrote last is read after its end
            lines = child.read_lines()
            if lines:
                self._last_word = time.monotonic()
                self._apply(sort_lines(lines), uploads)
            if how is not None:
                return how
            if self._heart.lost:
                child.kill()
                raise LeaseLostError(self._lease.job_id)
            if uploads.error is not None:
                raise uploads.error
            reason = self._reason_to_kill(uploads)
            if reason is not None:
                self._killed_for = reason
                return child.kill()
            self._pass_on(child)
            time.sleep(_TICK_S)

    def _apply(self, batch: Batch, uploads: CheckpointUploads) -> None:
        if batch.ending is not None:
            self._ending = batch.ending
        from_line, to_line = self._line, self._line + batch.num_lines
        events = self._runner.persist(
            lambda session: applying.apply_lines(
                session,
                self._lease,
                from_line=from_line,
                to_line=to_line,
                events=batch.events,
                metrics=batch.metrics,
                progress=batch.progress,
            ),
            self._heart,
        )
        self._line = to_line
        self._runner.publisher.publish(events)
        for checkpoint in batch.checkpoints:
            uploads.add(checkpoint)

    def _wants(self) -> DesiredState:
        return self._heart.wishes.desired_state

    def _pass_on(self, child: ChildRun) -> None:
        wishes, draining = self._heart.wishes, self._runner.draining.is_set()
        control = dict(self._control, desired_state=str(wishes.desired_state), drain=draining)
        if wishes.checkpoint_requested_at not in (None, self._seen_request):
            self._seen_request = wishes.checkpoint_requested_at
            control["checkpoint_request"] = self._control["checkpoint_request"] + 1
        if control != self._control:
            self._control = control
            child.write_control(control)
        asked = draining or wishes.desired_state is not DesiredState.RUN
        self._asked_at = (self._asked_at or time.monotonic()) if asked else None

    def _reason_to_kill(self, uploads: CheckpointUploads) -> Outcome | None:
        if self._wants() is DesiredState.CANCEL:
            return Outcome.LEFT
        now = time.monotonic()
        grace_s = max(self._times.stop_grace_s, 2 * uploads.longest_save_s)
        if self._asked_at is not None and now - self._asked_at > grace_s:
            return Outcome.DRAINED if self._runner.draining.is_set() else Outcome.LEFT
        if self._heart.silent_s > self._times.orphan_grace_s:
            return Outcome.LOST
        return Outcome.STALLED if now - self._last_word > self._times.liveness_s else None

    def _commit_checkpoint(self, child: ChildRun, checkpoint: dict[str, Any]) -> None:
        entries = child.store(checkpoint["path"])
        events = self._runner.persist(
            lambda session: checkpoints.commit(
                session,
                self._lease,
                int(checkpoint["step"]),
                str(checkpoint["reason"]),
                entries,
                self._kind.checkpoints_kept(self._lease),
            ),
            self._heart,
        )
        self._runner.publisher.publish(events)

    def _end(self, child: ChildRun, how: Exit) -> None:
        runner, lease, ending = self._runner, self._lease, self._ending
        if self._heart.lost:
            raise LeaseLostError(lease.job_id)
        if self._wants() is DesiredState.CANCEL:
            runner.finish(lambda session: endings.cancel(session, lease))
        elif self._killed_for is Outcome.STALLED:
            params = {"silent_s": round(self._times.liveness_s)}
            self._crashed(Outcome.STALLED, "child_stalled", params, how)
        elif self._killed_for in (Outcome.LEFT, Outcome.DRAINED):
            runner.finish(lambda session: endings.leave(session, lease, self._killed_for or Outcome.LEFT))
        elif ending is not None and ending["type"] == "result" and how.exit_code == 0:
            self._succeed(child, ending)
        elif ending is not None and ending["type"] == "left" and how.exit_code == 0:
            outcome = Outcome.DRAINED if ending.get("reason") == "drain" else Outcome.LEFT
            runner.finish(lambda session: endings.leave(session, lease, outcome))
        elif ending is not None and ending["type"] == "failed":
            code, params = str(ending["code"]), dict(ending.get("params", {}))
            runner.finish(lambda session: endings.fail(session, lease, code, params, how))
        else:
            tail = child.log_tail()[-1_000:]
            self._crashed(Outcome.CRASHED, "child_crashed", {"how": how.describe(), "tail": tail}, how)

    def _succeed(self, child: ChildRun, ending: dict[str, Any]) -> None:
        entries = _until_stored(child, str(ending["path"]), self._times.orphan_grace_s, self._heart)
        model = self._kind.new_model(self._lease, ending, entries)
        result = {"metrics": ending.get("metrics", {}), "step": ending.get("step")}
        self._runner.finish(lambda session: endings.succeed(session, self._lease, result, model))

    def _crashed(self, outcome: Outcome, code: str, params: dict[str, Any], how: Exit) -> None:
        lease, backoff_s = self._lease, self._times.retry_backoff_s
        self._runner.finish(lambda session: endings.crash(session, lease, outcome, code, params, backoff_s, how))


def _until_stored(child: ChildRun, folder: str, grace_s: float, heart: Heartbeat) -> Any:
    """Store a folder, again and again while the storage does not answer."""
    deadline = time.monotonic() + grace_s
    while True:
        try:
            return child.store(folder)
        except (UnavailableError, DBAPIError):
            if heart.lost or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)


def _is_outage(error: DBAPIError) -> bool:
    """Whether the database was not there, as opposed to it having refused the statement."""
    return getattr(error.orig, "sqlstate", None) in (
        None,
        "57P01",
        "57P02",
        "57P03",
        "08006",
        "08003",
        "40P01",
        "53300",
    )
