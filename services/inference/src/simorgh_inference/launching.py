"""Starts engine children: a process, its socket, and its first word."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_inference import metrics
from simorgh_inference.child import EngineChild, EngineLostError
from simorgh_inference.conversions import Engine
from simorgh_inference.devices import has_gpu
from simorgh_inference.settings import ServerSettings
from simorgh_shared.domain.errors import UnavailableError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.spawning import Spawner, torch_child_environment

log = structlog.get_logger()
ENGINE_COMMAND = (sys.executable, "-m", "simorgh_inference.engine")
# Weights lie in huge pages where Linux gives them to who asks: a step reads all of them. Before glibc 2.35, nothing.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
_LINE_BYTES = 16 << 20
_TAIL_BYTES = 2_000
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class UnfitError(Exception):
    """The engine's word that it cannot load a model, now or ever."""


class Launcher:
    """What all children are started with."""

    def __init__(self, settings: ServerSettings, spawner: Spawner, scratch: Path, command: Sequence[str]) -> None:
        self._settings = settings
        self._load_timeout_s = settings.load_timeout_s
        self._stall_timeout_s = settings.stall_timeout_s
        self._spawner = spawner
        self._scratch = scratch
        self._command = list(command)

    async def start(self, model: str, folder: Path, engine: Engine) -> EngineChild:
        """A child that has loaded this folder and answered once.

        Raises: UnfitError; UnavailableError where it does not start.
        """
        name = new_id("eng")
        path, log_path = self._scratch / name, self._scratch / f"{name}.log"
        connected: asyncio.Future[_Streams] = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not connected.done():
                connected.set_result((reader, writer))

        server = await asyncio.start_unix_server(accept, str(path), limit=_LINE_BYTES)
        process = await run_in_threadpool(
            self._spawner.spawn,
            [*self._command, "--model-dir", str(folder), "--socket", str(path), *self._arguments(engine)],
            environment=torch_child_environment(os.environ) | HUGE_PAGES,
            log_path=log_path,
        )
        try:
            reader, writer, ready = await self._first_word(process, connected)
        except BaseException as error:  # also where whoever waits for it is cancelled: no process stays without owner
            process.kill()
            await asyncio.shield(run_in_threadpool(process.wait))
            metrics.ENGINE_STARTS.labels("failed").inc()
            if connected.done() and not connected.cancelled():
                connected.result()[1].close()
            if not isinstance(error, TimeoutError | EngineLostError | ValueError):
                raise
            tail = log_path.read_text(errors="replace")[-_TAIL_BYTES:].strip()
            log.error("engine_did_not_start", model=model, tail=tail)
            reason = tail.splitlines()[-1] if tail else "it did not answer in time"
            raise UnavailableError("engine_start_failed", model=model, reason=reason, retry_after_s=5) from error
        finally:
            server.close()
        metrics.ENGINE_STARTS.labels("ready").inc()
        log.info("engine_ready", model=model, pid=process.pid, engine=engine.name, reason=engine.reason)
        told = {"device": "cpu", "engine": engine.name, "engine_reason": engine.reason, **ready}
        return EngineChild(process, reader, writer, told, self._stall_timeout_s, log_path)

    def _arguments(self, engine: Engine) -> tuple[str, ...]:
        """Its own; for what torch computes, where."""
        settings = self._settings
        if engine.name in ("openvino", "onnxruntime") or not has_gpu(settings.inference_device, os.environ):
            return engine.arguments
        cache = ("--precision", settings.precision, "--cache-bytes", str(settings.kv_cache_bytes))
        return (*engine.arguments, "--device", settings.inference_device, *cache)

    async def _first_word(
        self, process: "subprocess.Popen[bytes]", connected: "asyncio.Future[_Streams]"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, Any]]:
        reader, writer = await self._until_connected(process, connected)
        async with asyncio.timeout(self._load_timeout_s):
            told = json.loads(await reader.readline())
        if "unfit" in told:
            raise UnfitError(str(told["unfit"]))
        ready: dict[str, Any] = told["ready"]
        return reader, writer, ready

    async def _until_connected(
        self, process: "subprocess.Popen[bytes]", connected: "asyncio.Future[_Streams]"
    ) -> _Streams:
        deadline = asyncio.get_running_loop().time() + self._load_timeout_s
        while not connected.done():
            if process.poll() is not None:
                raise EngineLostError
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError
            await asyncio.wait([connected], timeout=0.1)
        return connected.result()
