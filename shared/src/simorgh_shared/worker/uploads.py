"""Stores checkpoints beside the training, one at a time; while storage is silent the newest and the requested wait."""

import threading
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.logging import cause
from simorgh_shared.queue.checkpoints import REQUESTED
from simorgh_shared.queue.leases import LeaseLostError
from simorgh_shared.worker.process import ChildRun

log = structlog.get_logger()
_RETRY_S = 1.0
_LOOK_S = 0.2


class CheckpointUploads:
    """A thread that stores and commits checkpoints. Training goes on meanwhile."""

    def __init__(self, child: ChildRun, commit: Callable[[ChildRun, dict[str, Any]], None]) -> None:
        self._child = child
        self._commit = commit
        self._changed = threading.Condition()
        self._waiting: list[dict[str, Any]] = []
        self._busy = False
        self._ended = False
        self._newest_step = -1
        self.error: Exception | None = None
        """What no retry mends: the attempt has to end."""
        self.longest_save_s = 0.0
        """How long the child's slowest save took."""
        self._thread = threading.Thread(target=self._serve, name="checkpoint-uploads", daemon=True)
        self._thread.start()

    def add(self, checkpoint: dict[str, Any]) -> bool:
        """Store this one next. What still waits is older, and dropped where the user did not ask for it.

        False for one that was told before.
        """
        self.longest_save_s = max(self.longest_save_s, float(checkpoint.get("seconds", 0.0)))
        step = int(checkpoint["step"])
        with self._changed:
            if step <= self._newest_step:  # asked for at the step of an interval: one folder, one checkpoint
                if checkpoint["reason"] == REQUESTED:
                    same = {one["step"]: one | {"reason": REQUESTED} for one in self._waiting if one["step"] == step}
                    self._waiting = [same.get(one["step"], one) for one in self._waiting]
                return False
            self._newest_step = step
            for older in self._waiting:
                if older["reason"] != REQUESTED:
                    log.warning("checkpoint_skipped", step=older["step"])
                    self._child.discard(older["path"])
            self._waiting = [*(one for one in self._waiting if one["reason"] == REQUESTED), checkpoint]
            self._changed.notify_all()
        return True

    def finish(self, is_late: Callable[[], bool]) -> None:
        """Wait until all is stored, or it is too late for that."""
        with self._changed:
            while not self._changed.wait_for(self._is_done, _LOOK_S) and not is_late():
                pass
        self.abandon()

    def _is_done(self) -> bool:
        return not self._thread.is_alive() or (not self._waiting and not self._busy)

    def abandon(self) -> None:
        """Start no further one; the thread ends with what it does now."""
        with self._changed:
            self._ended, self._waiting = True, []
            self._changed.notify_all()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or bool(self._waiting))
                if not self._waiting:
                    return
                checkpoint, self._busy = self._waiting.pop(0), True
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
                log.warning("checkpoint_deferred", step=checkpoint["step"], reason=cause(error))
                with self._changed:
                    if checkpoint["reason"] == REQUESTED:
                        self._changed.wait_for(lambda: self._ended, _RETRY_S)
                    elif self._changed.wait_for(lambda: self._ended or bool(self._waiting), _RETRY_S):
                        return not self._ended
                    if self._ended:
                        return False
                continue
            self._child.discard(checkpoint["path"])
            return True
