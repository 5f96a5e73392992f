"""Stores checkpoints beside the training, one at a time; while storage is silent the newest one waits."""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.queue.leases import LeaseLostError
from simorgh_trainer.process import ChildRun

log = structlog.get_logger()
_RETRY_S = 1.0


class CheckpointUploads:
    """A thread that stores and commits checkpoints. Training goes on meanwhile."""

    def __init__(self, child: ChildRun, commit: Callable[[ChildRun, dict[str, Any]], None]) -> None:
        self._child = child
        self._commit = commit
        self._changed = threading.Condition()
        self._next: dict[str, Any] | None = None
        self._busy = False
        self._ended = False
        self._newest_step = -1
        self.error: Exception | None = None
        """What no retry mends: the attempt has to end."""
        self.longest_save_s = 0.0
        """How long the child's slowest save took."""
        self._thread = threading.Thread(target=self._serve, name="checkpoint-uploads", daemon=True)
        self._thread.start()

    def add(self, checkpoint: dict[str, Any]) -> None:
        """Store this one next; one that still waits is older, and dropped."""
        self.longest_save_s = max(self.longest_save_s, float(checkpoint.get("seconds", 0.0)))
        step = int(checkpoint["step"])
        if step <= self._newest_step:
            return  # told twice (a requested save at the step of an interval): one folder, one checkpoint
        self._newest_step = step
        with self._changed:
            if self._next is not None:
                log.warning("checkpoint_skipped", step=self._next["step"])
                self._child.discard(self._next["path"])
            self._next = checkpoint
            self._changed.notify_all()

    def finish(self, within_s: float) -> None:
        """Wait until all is stored, at most so long."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._thread.is_alive() or (self._next is None and not self._busy), within_s
            )
        self.abandon()

    def abandon(self) -> None:
        """Start no further one; the thread ends with what it does now."""
        with self._changed:
            self._ended, self._next = True, None
            self._changed.notify_all()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._next is not None)
                if self._next is None:
                    return
                checkpoint, self._next, self._busy = self._next, None, True
            try:
                if not self._store(checkpoint):
                    return
            except Exception as error:
                self.error = error
                return
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _store(self, checkpoint: dict[str, Any]) -> bool:
        """Store one, again while storage or database are silent and no newer one waits; False: the lease is lost."""
        while True:
            try:
                self._commit(self._child, checkpoint)
            except LeaseLostError:
                return False  # the runner learns of it from its own next write or heartbeat
            except (UnavailableError, OperationalError, InterfaceError) as error:
                log.warning("checkpoint_deferred", step=checkpoint["step"], reason=type(error).__name__)
                with self._changed:
                    if self._changed.wait_for(lambda: self._ended or self._next is not None, _RETRY_S):
                        return not self._ended
                continue
            self._child.discard(checkpoint["path"])
            return True
