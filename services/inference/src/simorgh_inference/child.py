"""One engine process and its socket, as the front sees them."""

import asyncio
import contextlib
import contextvars
import math
import os
import signal
import subprocess
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_inference import metrics
from simorgh_shared.domain.errors import AppError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.logging import cause

log = structlog.get_logger()
_LAST_WORD_S = 2.0  # a process closes its socket before it prints what ended it


class EngineLostError(Exception):
    """The engine child ended, or cannot go on with this answer. `was_taken` tells whether it had begun the request,
    which may have ended it."""

    def __init__(self, was_taken: bool = False) -> None:
        super().__init__(was_taken)
        self.was_taken = was_taken


class RequestExpiredError(AppError):
    """The request's time was over before its answer."""

    status = 504

    def __init__(self, timeout_s: float) -> None:
        super().__init__("request_expired", timeout_s=timeout_s)


class _Held:
    """A request that the child was given."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[dict[str, Any] | Literal["expired"] | None] = asyncio.Queue()
        self.was_taken = False


class EngineChild:
    """An engine that has said that it is ready."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ready: dict[str, Any],
        stall_timeout_s: float,
        log_path: Path,
    ) -> None:
        self.process = process
        self._log_path = log_path
        self.ready = ready
        self._stall_timeout_s = stall_timeout_s
        self._heard_at = time.monotonic()
        self.started_at = time.time()
        self.cache_use: float | None = None
        """The share of its cache that requests have reserved; None where it has no pool, or has said nothing yet."""
        self.used_at = time.monotonic()
        """When a request came or ended last."""
        self._reader = reader
        self._writer = writer
        self._held: dict[str, _Held] = {}
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        self._is_closing = False
        self._is_lost = False
        # A context of its own: the request that started the engine is not the one that its later log lines are about.
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._read(), context=contextvars.Context())
        self._watch = loop.create_task(self._end_when_it_stalls(), context=contextvars.Context())

    @property
    def is_lost(self) -> bool:
        """Whether it has ended. The process is asked too: its socket may be heard of later than its end."""
        return self._is_lost or self.process.poll() is not None

    @property
    def num_active(self) -> int:
        """Requests that it holds."""
        return len(self._held)

    @property
    def num_taken(self) -> int:
        """Those of them that it has begun."""
        return sum(held.was_taken for held in self._held.values())

    async def generate(
        self, request: dict[str, Any], expires_at: float = math.inf
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of an answer, from the first token on. Leaving early cancels the request in the engine.

        Raises: EngineLostError; TimeoutError at `expires_at`, by the loop's clock.
        """
        request_id = new_id("req")
        if not self._held:
            self._heard_at = time.monotonic()  # it had nothing to say before
        self._is_empty.clear()
        self.used_at = time.monotonic()
        held = self._held[request_id] = _Held()
        finished = False
        # One timer a request, and not one a token.
        timer = asyncio.get_running_loop().call_at(expires_at, held.pieces.put_nowait, "expired")
        try:
            await self._send({"op": "generate", "id": request_id, **request})
            while not finished:
                piece = await held.pieces.get()
                if piece is None:
                    raise EngineLostError(held.was_taken)
                if piece == "expired":
                    raise TimeoutError
                finished = "finish" in piece
                yield piece
        finally:
            timer.cancel()
            del self._held[request_id]
            self.used_at = time.monotonic()
            if not self._held:
                self._is_empty.set()
            if not finished and not self._is_lost:
                with contextlib.suppress(EngineLostError):
                    await self._send({"op": "cancel", "id": request_id})

    async def emptied(self) -> None:
        """Wait until it holds no request."""
        await self._is_empty.wait()

    async def close(self) -> None:
        """End the process. What it has said before is still heard."""
        if self._is_lost:
            await self._task  # it may be about to print what ended it
        self._is_closing = self.process.poll() is None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await run_in_threadpool(self.process.wait)
        await self._task
        self._watch.cancel()
        self._writer.close()

    async def _send(self, message: dict[str, Any]) -> None:
        if self._is_lost:
            raise EngineLostError
        # A socket that breaks here ends the reading too, which knows what the child has taken before it ended.
        with contextlib.suppress(OSError):
            self._writer.write(msgspec.json.encode(message) + b"\n")
            await self._writer.drain()

    async def _end_when_it_stalls(self) -> None:
        """Kill the process when it says nothing for too long while requests wait; that ends the reading."""
        while not self._is_lost:
            quiet_s = time.monotonic() - self._heard_at if self._held else 0.0
            if quiet_s >= self._stall_timeout_s:
                log.error("engine_stalled", pid=self.process.pid, num_active=self.num_active, quiet_s=round(quiet_s))
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                return
            await asyncio.sleep(self._stall_timeout_s - quiet_s)

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._heard_at = time.monotonic()
                told = msgspec.json.decode(line)
                step = told["step"]
                self.cache_use = told.get("cache", self.cache_use)
                for piece in step:
                    self._hand_on(piece)
                num_requests = len({piece["id"] for piece in step if "text" in piece})
                if num_requests:
                    metrics.STEP_REQUESTS.observe(num_requests)
        except (OSError, ValueError) as error:  # a child that is killed while it writes leaves half a line
            log.warning("engine_socket_broke", reason=cause(error))
        self._is_lost = True
        told = {"num_active": self.num_active, "num_taken": self.num_taken}
        for held in self._held.values():
            held.pieces.put_nowait(None)
        if not self._is_closing:
            metrics.ENGINE_LOSSES.inc()
            reason = await run_in_threadpool(_last_word, self.process, self._log_path)
            log.warning("engine_lost", pid=self.process.pid, reason=reason, **told)

    def _hand_on(self, piece: dict[str, Any]) -> None:
        held = self._held.get(piece["id"])
        if held is None:
            return
        if piece.get("taken"):
            held.was_taken = True
        elif piece.get("finish") == "lost":
            log.error("answer_lost", pid=self.process.pid)
            held.pieces.put_nowait(None)
        else:
            held.pieces.put_nowait(piece)


def _last_word(process: "subprocess.Popen[bytes]", log_path: Path) -> str | None:
    """The kind of error that a Python process ended with. Its text is left out: it may hold what somebody said."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WORD_S)
    try:
        lines = log_path.read_text(errors="replace").splitlines()
    except OSError:
        return None
    return lines[-1].partition(":")[0][:100] if "Traceback (most recent call last):" in lines else None
