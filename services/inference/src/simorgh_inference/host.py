"""Keeps the engine children: one for each loaded model. A dead child costs only the requests that it had begun."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import weakref
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_inference import metrics
from simorgh_inference.child import EngineChild, EngineLostError
from simorgh_shared.engine_folder import EngineFolder
from simorgh_inference.registry import ModelSource
from simorgh_shared.domain.errors import InvalidInputError, LimitedError, UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.spawning import Spawner, torch_child_environment

log = structlog.get_logger()
ENGINE_COMMAND = (sys.executable, "-m", "simorgh_inference.engine")
_LINE_BYTES = 16 << 20
_TAIL_BYTES = 2_000
_MAX_REASONS = 256


class EngineHost:
    """The loaded models."""

    def __init__(
        self,
        source: ModelSource,
        max_waiting: int,
        load_timeout_s: float,
        engine_command: Sequence[str] = ENGINE_COMMAND,
    ) -> None:
        self.source = source
        self._max_waiting = max_waiting
        self._load_timeout_s = load_timeout_s
        self._children: dict[str, EngineChild] = {}
        # A lock lives while someone holds or awaits it: what clients ask for must not stay in memory.
        self._loading: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._reasons: dict[str, str] = {}
        """Why a model cannot be served, of the last ones that somebody asked for."""
        self._spawner = Spawner()
        self._command = list(engine_command)
        self._folder = EngineFolder()

    def loaded(self) -> dict[str, EngineChild]:
        """The live children by model."""
        return {model: child for model, child in self._children.items() if not child.is_lost}

    async def generate(self, model: str, request: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The pieces of an answer by the model's child. Leaving early cancels the request in the engine.

        A request whose child is lost before it was taken goes to a new child, once: should it be the request that
        ends engines, it ends no more than two.

        Raises: EngineLostError, and what `child` raises.
        """
        for is_last in (False, True):
            child = await self.child(model)
            try:
                async with contextlib.aclosing(child.generate(request)) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except EngineLostError as error:
                if error.was_taken or is_last:
                    raise
                log.warning("request_goes_to_a_new_engine", model=model)

    async def child(self, model: str) -> EngineChild:
        """The child of a model, started when there is none. Requests that come at once share one start.

        Raises: NotFoundError, LimitedError when it is full, UnavailableError when it does not start, InvalidInputError
        for a model that no engine here can serve.
        """
        model = self.source.name(model)
        async with self._loading.setdefault(model, asyncio.Lock()):
            if model in self._reasons:
                raise InvalidInputError("model_unservable", model=model, reason=self._reasons[model])
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
        self._folder.close()

    async def _start(self, model: str, folder: Path) -> EngineChild:
        name = new_id("eng")
        path, log_path = self._folder.path / name, self._folder.path / f"{name}.log"
        connected: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        connected = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not connected.done():
                connected.set_result((reader, writer))

        server = await asyncio.start_unix_server(accept, str(path), limit=_LINE_BYTES)
        process = await run_in_threadpool(
            self._spawner.spawn,
            [*self._command, "--model-dir", str(folder), "--socket", str(path)],
            environment=torch_child_environment(os.environ),
            log_path=log_path,
        )
        try:
            reader, writer = await self._until_ready(process, connected)
            told = json.loads(await asyncio.wait_for(reader.readline(), self._load_timeout_s))
            if "unfit" in told:
                raise self._unfit(model, str(told["unfit"]))
            ready = told["ready"]
        except (InvalidInputError, TimeoutError, EngineLostError, ValueError) as error:
            process.kill()
            await run_in_threadpool(process.wait)
            metrics.ENGINE_STARTS.labels("failed").inc()
            if connected.done():
                connected.result()[1].close()
            if isinstance(error, InvalidInputError):
                raise
            tail = log_path.read_text(errors="replace")[-_TAIL_BYTES:].strip()
            log.error("engine_did_not_start", model=model, tail=tail)
            reason = tail.splitlines()[-1] if tail else "it did not answer in time"
            raise UnavailableError("engine_start_failed", model=model, reason=reason, retry_after_s=5) from error
        finally:
            server.close()
        metrics.ENGINE_STARTS.labels("ready").inc()
        log.info("engine_ready", model=model, pid=process.pid)
        return EngineChild(process, reader, writer, ready)

    def _unfit(self, model: str, reason: str) -> InvalidInputError:
        """Remember why: a version never changes, and each try costs the seconds in which torch is loaded."""
        log.warning("model_unservable", model=model, reason=reason)
        if len(self._reasons) >= _MAX_REASONS:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[model] = reason
        return InvalidInputError("model_unservable", model=model, reason=reason)

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
