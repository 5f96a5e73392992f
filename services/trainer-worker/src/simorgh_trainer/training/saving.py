"""Saves checkpoints beside the training: a step waits for a copy in memory, not for the disk."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from simorgh_trainer.training.checkpoint import Buffers, Constants, Snapshot, TrainingState, write_checkpoint

Told = Callable[[Path, int, str, float], None]
"""Hears of each checkpoint when it is durable: its folder, its step, why it was saved, and how long that took."""


class CheckpointSaver:
    """Writes one checkpoint at a time in a thread. The next one waits for the one before it."""

    def __init__(self, root: Path, state: TrainingState, constants: Constants, told: Told) -> None:
        self._root = root
        self._state = state
        self._constants = constants
        self._told = told
        self._buffers = Buffers(state.weights)
        self._writer: threading.Thread | None = None
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the writer; a run that fails tells its own failure, not this one's."""
        if self._writer is not None:
            self._writer.join()
        if error is None:
            self.check()

    def save(self, reason: str) -> None:
        """Copy this moment and have it written.

        Raises: what the checkpoint before failed with.
        """
        begun = time.monotonic()
        self.finish()
        snapshot = self._buffers.take(self._state)
        self._writer = threading.Thread(target=self._write, args=(snapshot, reason, begun), name="checkpoint")
        self._writer.start()

    def check(self) -> None:
        """Raises: what a checkpoint failed with, as soon as that is known."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def finish(self) -> None:
        """Wait until what was saved is durable.

        Raises: what it failed with.
        """
        if self._writer is not None:
            self._writer.join()
            self._writer = None
        self.check()

    def _write(self, snapshot: Snapshot, reason: str, begun: float) -> None:
        try:
            path = write_checkpoint(self._root, snapshot, self._buffers, self._constants)
            self._told(path, snapshot.step, reason, time.monotonic() - begun)
        except Exception as error:  # raised again in the thread that trains
            self._error = error
