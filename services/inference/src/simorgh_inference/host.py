"""Keeps the engine children: one for each loaded model. A dead child costs only the requests that it had begun."""

import asyncio
import contextlib
import functools
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

from simorgh_inference import metrics, residency
from simorgh_inference.child import EngineChild, EngineLostError
from simorgh_inference.conversions import Conversions, Engine
from simorgh_inference.registry import ModelSource
from simorgh_inference.settings import ServerSettings
from simorgh_shared.domain.errors import AppError, InvalidInputError, LimitedError, UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.engine_folder import EngineFolder
from simorgh_shared.spawning import Spawner, torch_child_environment

log = structlog.get_logger()
ENGINE_COMMAND = (sys.executable, "-m", "simorgh_inference.engine")
_LINE_BYTES = 16 << 20
_TAIL_BYTES = 2_000
_MAX_REASONS = 256


class EngineHost:
    """The loaded models."""

    def __init__(
        self, source: ModelSource, settings: ServerSettings, engine_command: Sequence[str] = ENGINE_COMMAND
    ) -> None:
        self.source = source
        self._max_waiting = settings.max_waiting
        self._load_timeout_s = settings.load_timeout_s
        self._stall_timeout_s = settings.stall_timeout_s
        self._children: dict[str, EngineChild] = {}
        # A lock lives while someone holds or awaits it: what clients ask for must not stay in memory.
        self._loading: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._reasons: dict[str, str] = {}
        """Why a model cannot be served, of the last ones that somebody asked for."""
        self._spawner = Spawner()
        self._command = list(engine_command)
        self._folder = EngineFolder()
        self._budget_bytes = settings.models_memory_bytes or residency.default_budget_bytes()
        self._starting: dict[str, int] = {}
        """Models that are being loaded, and the memory that they will need."""
        self._conversions = Conversions(settings, self._spawner, self._folder.path)
        self._retired: set[EngineChild] = set()
        """Children that another one has taken over from, with the requests that they still hold."""

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

        Raises: NotFoundError, LimitedError when it is full, UnavailableError when it does not start or those in use
        leave no memory, InvalidInputError for a model that no engine here can serve.
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
                try:
                    await self._make_room(model, folder)
                    child = self._children[model] = await self._start(model, folder)
                finally:
                    self._starting.pop(model, None)
        if child.num_active >= self._max_waiting:
            raise LimitedError("engine_busy", retry_after_s=1)
        return child

    async def close(self) -> None:
        """End all children."""
        await self._conversions.close()
        for child in (*self._children.values(), *self._retired):
            await child.close()
        self._children.clear()
        self._folder.close()

    async def _make_room(self, model: str, folder: Path) -> None:
        """Reserve what the model will need, and let others go for it.

        Raises: UnavailableError where those in use leave no room. A model that is alone is always tried.
        """
        needed = await run_in_threadpool(residency.needed_bytes, folder)
        others = {name: child for name, child in self.loaded().items() if name != model}
        gone = residency.to_unload(others, self._budget_bytes - needed - sum(self._starting.values()))
        if gone is None and any(child.num_active for child in others.values()):
            raise UnavailableError("models_memory_full", model=model, retry_after_s=5)
        self._starting[model] = needed
        leaving = [self._children.pop(name) for name in (others if gone is None else gone)]
        for child in leaving:
            metrics.ENGINES_UNLOADED.inc()
            log.info("engine_unloaded", pid=child.process.pid, for_model=model)
            await child.close()

    async def _start(self, model: str, folder: Path) -> EngineChild:
        """A child with the engine that fits; where it cannot load what was converted, transformers serves."""
        kept = self.source.derived(model)
        engine = await self._conversions.engine(model, folder, kept, functools.partial(self._renew, model))
        try:
            return await self._start_engine(model, folder, engine)
        except AppError as error:
            if engine.name != "openvino":
                raise
            self._reasons.pop(model, None)
            return await self._start_engine(model, folder, self._conversions.without(model, error.message()))

    async def _renew(self, model: str) -> None:
        """Let a new child take over; the old one ends with its last request, and no request waits meanwhile."""
        child = self._children.get(model)
        if child is None or child.is_lost:
            return  # the next request starts the right one
        try:
            folder = await run_in_threadpool(self.source.folder, model)
            new = await self._start(model, folder)
        except AppError as error:
            log.warning("engine_stays", model=model, code=error.code)
            return
        async with self._loading.setdefault(model, asyncio.Lock()):
            old = self._children.get(model)
            if old is not None:
                self._children[model] = new
        if old is None:  # it has made room for another model
            await new.close()
            return
        self._retired.add(old)
        log.info("engine_taken_over", model=model, pid=new.process.pid, num_active=old.num_active)
        await old.emptied()
        await old.close()
        self._retired.discard(old)

    async def _start_engine(self, model: str, folder: Path, engine: Engine) -> EngineChild:
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
            [*self._command, "--model-dir", str(folder), "--socket", str(path), *engine.arguments],
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
        log.info("engine_ready", model=model, pid=process.pid, engine=engine.name, reason=engine.reason)
        told = {"engine": engine.name, "engine_reason": engine.reason, **ready}
        return EngineChild(process, reader, writer, told, self._stall_timeout_s, log_path)

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
