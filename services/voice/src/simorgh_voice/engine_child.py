"""An engine process and its socket, as the worker sees them. One request at a time."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.jobs import Lane
from simorgh_shared.logging import cause
from simorgh_shared.monitoring.processor_time import ProcessorTime
from simorgh_shared.queue.endings import Exit
from simorgh_voice import metrics
from simorgh_voice.engine.protocol import ENDINGS

log = structlog.get_logger()
_TAIL_BYTES = 4_000
_LAST_WORDS_S = 2.0


class EngineLostError(Exception):
    """The process ended in the middle of a request."""


class EngineChild:
    """A process that has been started; `wait_ready` comes before the first request."""

    def __init__(self, lane: Lane, process: "subprocess.Popen[bytes]", listener: socket.socket, log_path: Path) -> None:
        self.lane = lane
        self._process = process
        self._cpu = ProcessorTime(process.pid)
        self._listener = listener
        self._log_path = log_path
        self._connection: socket.socket | None = None
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._request_id: str | None = None
        self._is_closing = False
        self._is_deaf = False
        """Its socket has ended, so it is of no use any more."""
        self._ending = threading.Lock()
        self._exit: Exit | None = None
        self.model_bytes = 0

    @property
    def pid(self) -> int:
        """Of the process, and of its session."""
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Processor time that it has taken since it was started."""
        return self._cpu.seconds()

    @property
    def is_idle(self) -> bool:
        """Whether it lives and holds no request."""
        return self._request_id is None and self._exit is None and not self._is_deaf

    def wait_ready(self, within_s: float) -> None:
        """Wait until it says so.

        Raises: UnavailableError.
        """
        deadline = time.monotonic() + within_s
        self._listener.settimeout(0.05)
        while self._connection is None and self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                self._connection, _ = self._listener.accept()
        self._listener.close()
        if self._connection is not None:
            self._connection.settimeout(None)
            threading.Thread(target=self._read, args=(self._connection,), name="engine", daemon=True).start()
            with contextlib.suppress(queue.Empty):
                told = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
                if told is not None and "ready" in told:
                    return
        self.kill()
        tail = self.log_tail()
        log.error("engine_did_not_start", lane=self.lane, tail=tail)
        reason = tail.splitlines()[-1] if tail else "it did not answer in time"
        raise UnavailableError("voice_engine_start_failed", reason=reason)

    def ask(self, request: Mapping[str, Any]) -> None:
        """Give it a request."""
        self._request_id = str(request["id"])
        self._send({"op": "run", **request})

    def cancel(self) -> None:
        """Tell it that its request is not wanted any more."""
        self._send({"op": "cancel", "id": self._request_id})

    def next_lines(self, within_s: float) -> list[dict[str, Any]]:
        """What it has said of its request, waiting a little for the first word.

        Raises: EngineLostError when it has ended and has nothing more to say.
        """
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(queue.Empty):
            line = self._lines.get(timeout=within_s)
            while line is not None:
                if line.get("id") == self._request_id:
                    lines.append(line)
                line = self._lines.get_nowait()
            self._lines.put(None)  # it stays ended
            if not lines:
                raise EngineLostError
        if lines and lines[-1]["type"] in ENDINGS:
            self._request_id = None
        return lines

    def let_go(self, within_s: float) -> None:
        """Be rid of a request that has not ended: it is cancelled, and the process killed where that takes long."""
        if self._request_id is None:
            return
        deadline = time.monotonic() + within_s
        with contextlib.suppress(EngineLostError):
            self.cancel()
            while self._request_id is not None and time.monotonic() < deadline:
                self.next_lines(0.05)
        if self._request_id is not None:
            self.kill()

    def kill(self) -> Exit:
        """End the process with its session, and wait for it."""
        with self._ending:
            if self._exit is None:
                self._is_closing = not self._is_deaf
                with contextlib.suppress(ProcessLookupError):  # its id is its own until it was waited for
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._cpu.settle_at_end(wait=True)
                code = self._process.wait()
                self._exit = Exit(signal=-code) if code < 0 else Exit(exit_code=code)
        return self._exit

    def log_tail(self) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError), self._log_path.open("rb") as file:
            file.seek(max(0, self._log_path.stat().st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace").strip()
        return ""

    def _send(self, message: Mapping[str, Any]) -> None:
        # A socket that breaks here ends the reading too, which is where the end is noticed.
        with contextlib.suppress(OSError):
            assert self._connection is not None
            self._connection.sendall(json.dumps(message, ensure_ascii=False).encode() + b"\n")

    def _read(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as lines:
                for line in lines:
                    self._sort_in(json.loads(line))
        except (OSError, ValueError) as error:  # a child that is killed while it writes leaves half a line
            log.warning("engine_socket_broke", lane=self.lane, reason=cause(error))
        self._is_deaf = True
        self._count_models(0)
        if not self._is_closing:
            metrics.ENGINE_LOSSES.labels(self.lane).inc()
            how = self._await_end()
            log.warning("engine_lost", lane=self.lane, pid=self.pid, how=how.describe())
        connection.close()
        self._lines.put(None)

    def _await_end(self) -> Exit:
        """How it ended by itself; killed, with what it had started, where it stays on without its socket."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LAST_WORDS_S)  # its own exit code says more than our signal
        return self.kill()

    def _sort_in(self, line: dict[str, Any]) -> None:
        if "models" in line:
            self._count_models(int(line["models"]["bytes"]))
        else:
            self._lines.put(line)

    def _count_models(self, num_bytes: int) -> None:
        metrics.MODEL_BYTES.labels(self.lane).inc(num_bytes - self.model_bytes)
        self.model_bytes = num_bytes
