"""Starts and talks to engine children: one for each loaded model. A dead child costs only the requests it held."""

import asyncio
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_inference.registry import ModelSource
from simorgh_shared.domain.errors import LimitedError, UnavailableError
from simorgh_shared.domain.ids import new_id

log = structlog.get_logger()
_ALLOWED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH")
_LINE_BYTES = 16 << 20
_TAIL_BYTES = 2_000


class EngineLostError(Exception):
    """The engine child ended while it held the request."""


class EngineChild:
    """One engine process and its socket."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ready: dict[str, Any],
    ) -> None:
        self.process = process
        self.ready = ready
        self._reader = reader
        self._writer = writer
        self._answers: dict[str, asyncio.Queue[dict[str, Any] | None]] = {}
        self.is_lost = False
        self._task = asyncio.create_task(self._read())

    @property
    def num_active(self) -> int:
        """Requests that it holds."""
        return len(self._answers)

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The pieces of an answer. Leaving early cancels the request in the engine.

        Raises: EngineLostError.
        """
        request_id = new_id("req")
        answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._answers[request_id] = answers
        finished = False
        try:
            await self._send({"op": "generate", "id": request_id, **request})
            while not finished:
                piece = await answers.get()
                if piece is None:
                    raise EngineLostError
                finished = "finish" in piece
                yield piece
        finally:
            del self._answers[request_id]
            if not finished and not self.is_lost:
                with contextlib.suppress(EngineLostError):
                    await self._send({"op": "cancel", "id": request_id})

    async def close(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await run_in_threadpool(self.process.wait)
        self._writer.close()
        await self._task

    async def _send(self, message: dict[str, Any]) -> None:
        if self.is_lost:
            raise EngineLostError
        try:
            self._writer.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
            await self._writer.drain()
        except OSError as error:
            raise EngineLostError from error

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                for piece in json.loads(line)["step"]:
                    answers = self._answers.get(piece["id"])
                    if answers is not None:
                        answers.put_nowait(piece)
        except OSError as error:
            log.warning("engine_socket_broke", reason=type(error).__name__)
        self.is_lost = True
        for answers in self._answers.values():
            answers.put_nowait(None)


class EngineHost:
    """The loaded models."""

    def __init__(self, source: ModelSource, max_waiting: int, load_timeout_s: float) -> None:
        self.source = source
        self._max_waiting = max_waiting
        self._load_timeout_s = load_timeout_s
        self._children: dict[str, EngineChild] = {}
        self._loading: dict[str, asyncio.Lock] = {}
        self._spawner = _Spawner()
        self._folder = tempfile.TemporaryDirectory(prefix="simorgh-engines-")

    def loaded(self) -> dict[str, EngineChild]:
        """The live children by model."""
        return {model: child for model, child in self._children.items() if not child.is_lost}

    async def child(self, model: str) -> EngineChild:
        """The child of a model, started when there is none. Requests that come at once share one start.

        Raises: NotFoundError, LimitedError when it is full, UnavailableError when it does not start.
        """
        async with self._loading.setdefault(model, asyncio.Lock()):
            child = self._children.get(model)
            if child is None or child.is_lost:
                if child is not None:
                    await child.close()
                folder = await run_in_threadpool(self.source.folder, model)
                child = self._children[model] = await self._start(model, folder)
        if child.num_active >= self._max_waiting:
            raise LimitedError("engine_busy", retry_after_s=1)
        return child

    async def close(self) -> None:
        """End all children."""
        for child in self._children.values():
            await child.close()
        self._children.clear()
        self._folder.cleanup()

    async def _start(self, model: str, folder: Path) -> EngineChild:
        name = new_id("eng")
        path, log_path = Path(self._folder.name) / name, Path(self._folder.name) / f"{name}.log"
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        connected = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not connected.done():
                connected.set_result((reader, writer))

        server = await asyncio.start_unix_server(accept, str(path), limit=_LINE_BYTES)
        process = await run_in_threadpool(self._spawner.spawn, folder, path, log_path)
        try:
            reader, writer = await self._until_ready(process, connected)
            ready = json.loads(await asyncio.wait_for(reader.readline(), self._load_timeout_s))["ready"]
        except (TimeoutError, EngineLostError, ValueError) as error:
            process.kill()
            await run_in_threadpool(process.wait)
            tail = log_path.read_text(errors="replace")[-_TAIL_BYTES:].strip()
            log.error("engine_did_not_start", model=model, tail=tail)
            reason = tail.splitlines()[-1] if tail else "it did not answer in time"
            raise UnavailableError("engine_start_failed", model=model, reason=reason, retry_after_s=5) from error
        finally:
            server.close()
        log.info("engine_ready", model=model, pid=process.pid)
        return EngineChild(process, reader, writer, ready)

    async def _until_ready(
        self,
        process: "subprocess.Popen[bytes]",
        connected: "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]",
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = asyncio.get_running_loop().time() + self._load_timeout_s
        while not connected.done():
            if process.poll() is not None:
                raise EngineLostError
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError
            await asyncio.wait([connected], timeout=0.1)
        return connected.result()


class _Spawner:
    """A thread that lives on starts all children: the kernel's parent-death signal follows the thread."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="spawner", daemon=True).start()

    def spawn(self, folder: Path, path: Path, log_path: Path) -> "subprocess.Popen[bytes]":
        """Start an engine in its own session, without credentials in its environment."""
        allowed = {name: os.environ[name] for name in _ALLOWED if name in os.environ}
        environment = allowed | {
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "SIMORGH_PARENT_PID": str(os.getpid()),
        }
        command = [sys.executable, "-m", "simorgh_inference.engine", "--model-dir", str(folder), "--socket", str(path)]

        def start() -> "subprocess.Popen[bytes]":
            with log_path.open("wb") as output:
                return subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

        answer: Future[subprocess.Popen[bytes]] = Future()
        self._requests.put((start, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            start, answer = self._requests.get()
            try:
                answer.set_result(start())
            except BaseException as error:
                answer.set_exception(error)
