"""One attempt of a job that has a child: starts it, applies what it says, passes on what is wanted, ends it.

It opens no path of the child's, and holds no database session during other work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError

from simorgh_shared import tracing
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.jobs import DesiredState, Outcome
from simorgh_shared.queue import applying, checkpoints, endings
from simorgh_shared.queue.endings import Exit
from simorgh_shared.queue.leases import LeaseLostError
from simorgh_shared.storage.blobs import ArtifactLostError
from simorgh_shared.worker.child_events import Batch, sort_lines
from simorgh_shared.worker.child_spans import ChildSpans
from simorgh_shared.worker.figures import RunFigures
from simorgh_shared.worker.kinds import ChildKind, Claimed
from simorgh_shared.worker.ledger import RETRY_S
from simorgh_shared.worker.process import ChildRun, InputLostError, Launcher
from simorgh_shared.worker.uploads import CheckpointUploads

log = structlog.get_logger()
_T = TypeVar("_T")
_TICK_S = 0.05  # events wait at most two of these: 100 ms


@dataclass(frozen=True)
class WithChild:
    """A kind of job whose attempts each have a child."""

    launcher: Launcher
    kind: ChildKind

    def run(self, claimed: Claimed) -> None:
        """Run one attempt."""
        Attempt(self.launcher, self.kind, claimed).run()


class Attempt:
    """One attempt of a job that has a child."""

    def __init__(self, launcher: Launcher, kind: ChildKind, claimed: Claimed) -> None:
        self._claimed = claimed
        self._ledger = claimed.ledger
        self._launcher = launcher
        self._draining = claimed.draining
        self._kind = kind
        self._lease = claimed.lease
        self._heart = claimed.heart
        self._times = claimed.ledger.times
        self._line = 0
        self._control: dict[str, Any] = {"desired_state": "run", "drain": False, "checkpoint_request": 0}
        self._seen_request: datetime | None = None
        self._requested_steps: set[int] = set()
        self._asked_at: float | None = None
        self._killed_for: Outcome | None = None
        self._last_word = time.monotonic()
        self._ending: dict[str, Any] | None = None
        self._trace = tracing.current().traceparent
        self._spans = ChildSpans(None)
        self._figures = RunFigures()

    def run(self) -> None:
        """Start the child, follow it, end the attempt."""
        child = self._start()
        self._claimed.meter.follow(child.cpu_seconds, since_start=True)
        self._last_word = time.monotonic()  # its files may have taken minutes to come
        log.info("child_started", job_id=self._lease.job_id, attempt=self._lease.attempt)
        uploads = CheckpointUploads(child, self._commit_checkpoint)
        try:
            how = self._traced(child, uploads)
            if self._killed_for is None and self._wants() is not DesiredState.CANCEL:
                deadline = time.monotonic() + self._times.orphan_grace_s
                uploads.finish(lambda: self._draining.is_storing_late or time.monotonic() > deadline)
                if uploads.error is not None:
                    raise uploads.error
            self._end(child, how)
        finally:
            child.kill()
            uploads.abandon()
            child.close()
            self._figures.close()

    def _traced(self, child: ChildRun, uploads: CheckpointUploads) -> Exit:
        with tracing.span("child") as span:
            self._spans = ChildSpans(span.traceparent)
            self._spans.begin(time.time())
            try:
                return self._follow(child, uploads)
            finally:
                self._spans.end()

    def _start(self) -> ChildRun:
        """Start the child; a checkpoint that storage has lost is given up for the one before."""
        while True:
            with self._ledger.sessions() as session:
                plan = self._kind.plan(session, self._lease)
            try:
                return self._launcher.start(self._lease.job_id, self._lease.attempt, plan)
            except InputLostError as error:
                checkpoint_id = self._lease.checkpoint_id
                if error.folder != "checkpoint" or checkpoint_id is None:
                    raise
                self._give_up_checkpoint(checkpoint_id, error)

    def _give_up_checkpoint(self, checkpoint_id: str, lost: ArtifactLostError) -> None:
        self._ledger.note_lost(lost)
        self._lease, event = self._ledger.persist(
            lambda session: checkpoints.lose(session, self._lease, checkpoint_id, lost.path), self._heart
        )
        self._ledger.publish([event])

    def _follow(self, child: ChildRun, uploads: CheckpointUploads) -> Exit:
        """Apply what the child says and pass on what the user wants, until it has ended."""
        while True:
            how = child.poll()  # before reading: what it wrote last is read after its end
            lines = child.read_lines()
            if lines:
                self._last_word = time.monotonic()
                self._spans.note(lines)
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
        events = self._ledger.persist(
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
        self._ledger.publish(events)
        self._figures.note(batch.metrics, batch.progress)
        for checkpoint in batch.checkpoints:
            if not uploads.add(checkpoint) and checkpoint["reason"] == checkpoints.REQUESTED:
                self._note_requested(int(checkpoint["step"]))

    def _note_requested(self, step: int) -> None:
        """The user asked for a checkpoint that was saved anyway: it is to stay, stored already or not."""
        self._requested_steps.add(step)
        self._ledger.persist(lambda session: checkpoints.mark_requested(session, self._lease, step), self._heart)

    def _wants(self) -> DesiredState:
        return self._heart.wishes.desired_state

    def _pass_on(self, child: ChildRun) -> None:
        wishes, draining = self._heart.wishes, self._draining.is_set()
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
        if self._asked_at is not None and self._is_late(now - self._asked_at, uploads.longest_save_s):
            return Outcome.DRAINED if self._draining.is_set() else Outcome.LEFT
        if self._heart.silent_s > self._times.orphan_grace_s:
            return Outcome.LOST
        return Outcome.STALLED if now - self._last_word > self._times.liveness_s else None

    def _is_late(self, waited_s: float, longest_save_s: float) -> bool:
        """Whether a child that was asked to leave has had its time."""
        if self._draining.is_set() and self._kind.checkpoints_kept(self._lease):
            return self._draining.are_children_late  # its first save may take longer than any number here
        return self._draining.are_children_late or waited_s > max(self._times.stop_grace_s, 2 * longest_save_s)

    def _commit_checkpoint(self, child: ChildRun, checkpoint: dict[str, Any]) -> None:
        step = int(checkpoint["step"])
        with tracing.span("upload", {"simorgh.step": step}, parent=self._trace):  # in a thread of its own
            entries = child.store(checkpoint["path"])
        events = self._ledger.persist(
            lambda session: checkpoints.commit(
                session,
                self._lease,
                step,
                checkpoints.REQUESTED if step in self._requested_steps else str(checkpoint["reason"]),
                entries,
                self._kind.checkpoints_kept(self._lease),
            ),
            self._heart,
        )
        self._ledger.publish(events)

    def _end(self, child: ChildRun, how: Exit) -> None:
        ledger, lease, ending = self._ledger, self._lease, self._ending
        if self._heart.lost:
            raise LeaseLostError(lease.job_id)
        if self._wants() is DesiredState.CANCEL:
            ledger.finish(lambda session: endings.cancel(session, lease))
        elif self._killed_for is Outcome.STALLED:
            params = {"silent_s": round(self._times.liveness_s)}
            self._crashed(Outcome.STALLED, "child_stalled", params, how)
        elif self._killed_for in (Outcome.LEFT, Outcome.DRAINED):
            ledger.finish(lambda session: endings.leave(session, lease, self._killed_for or Outcome.LEFT))
        elif ending is not None and ending["type"] == "result" and how.exit_code == 0:
            self._succeed(child, ending)
        elif ending is not None and ending["type"] == "left" and how.exit_code == 0:
            outcome = Outcome.DRAINED if ending.get("reason") == "drain" else Outcome.LEFT
            ledger.finish(lambda session: endings.leave(session, lease, outcome))
        elif ending is not None and ending["type"] == "failed":
            code, params = str(ending["code"]), dict(ending.get("params", {}))
            details = list(ending.get("details", ()))
            ledger.finish(lambda session: endings.fail(session, lease, code, params, how, details))
        else:
            tail = child.log_tail()[-1_000:]
            self._crashed(Outcome.CRASHED, "child_crashed", {"how": how.describe(), "tail": tail}, how)

    def _succeed(self, child: ChildRun, ending: dict[str, Any]) -> None:
        with tracing.span("upload"):
            entries = until_stored(lambda: child.store(str(ending["path"])), self._claimed)
        lease, kind = self._lease, self._kind
        result = {"metrics": ending.get("metrics", {}), "step": ending.get("step")}
        self._ledger.finish(
            lambda session: endings.succeed(
                session, lease, result, lambda session: kind.keep(session, lease, ending, entries)
            )
        )

    def _crashed(self, outcome: Outcome, code: str, params: dict[str, Any], how: Exit) -> None:
        self._ledger.crash(self._lease, outcome, code, params, how)


def until_stored(store: Callable[[], _T], claimed: Claimed) -> _T:
    """Store something, again and again while the storage does not answer.

    Raises: UnavailableError when the grace is over, or the worker has no more time for that.
    """
    deadline = time.monotonic() + claimed.ledger.times.orphan_grace_s
    while True:
        try:
            return store()
        except (UnavailableError, DBAPIError):
            if claimed.heart.lost or claimed.draining.is_storing_late or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
