"""What the child says: one JSON line per event, appended to `events.jsonl` for the runner to tail."""

import json
import math
import os
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ALIVE_INTERVAL_S = 10.0


class EventLog:
    """Appends events, and says `alive` from a small thread when nothing else was said for a while.

    The thread tells long work (a tokenizer, a save) from silence; it cannot tell work from a loop that hangs.
    """

    def __init__(self, path: Path, alive_interval_s: float = ALIVE_INTERVAL_S) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._alive_interval_s = alive_interval_s
        self._last_said_s = time.monotonic()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._say_alive, name="alive", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        os.close(self._descriptor)

    def emit(self, kind: str, **members: Any) -> None:
        """Append one event with the time it was said, whole lines only."""
        event = {"type": kind, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **members}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        with self._lock:
            _write_all(self._descriptor, line.encode())
            self._last_said_s = time.monotonic()

    def metrics(self, step: int, total_steps: int, values: Mapping[str, float | None]) -> None:
        """The figures of a step; what is not a finite number is left out, as JSON has none."""
        finite = {key: value for key, value in values.items() if value is not None and math.isfinite(value)}
        self.emit("metrics", step=step, total_steps=total_steps, values=finite)

    def warn(self, message: str) -> None:
        """Something that the user may want to act on."""
        self.emit("log", level="warning", message=message)

    def _say_alive(self) -> None:
        while not self._closing.wait(self._alive_interval_s / 4):
            if time.monotonic() - self._last_said_s >= self._alive_interval_s * 0.7:
                self.emit("alive")


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])
