"""Says which engine serves a model, and keeps the conversions to OpenVINO: made once, in a child, beside the folder."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from simorgh_inference.devices import has_gpu
from simorgh_inference.engine.conversion import RECORD, REVISION
from simorgh_inference.settings import EngineSettings
from simorgh_shared.domain.ids import new_id
from simorgh_shared.openvino_ir.convertible import obstacle
from simorgh_shared.openvino_ir.precision import MODEL_FILE
from simorgh_shared.spawning import Spawner, torch_child_environment
from simorgh_shared.storage.blobs import file_sha256

log = structlog.get_logger()
_COMMAND = (sys.executable, "-m", "simorgh_inference.engine.conversion")


@dataclass(frozen=True)
class Engine:
    """How a model is served."""

    name: str
    reason: str
    """Why by this one."""
    arguments: tuple[str, ...] = ()
    is_only_one: bool = False
    """Whether no other engine can read its files."""


class Conversions:
    """The choice of engines. It holds no lock: the host asks for one model once at a time."""

    def __init__(self, settings: EngineSettings, spawner: Spawner, scratch: Path) -> None:
        self._settings = settings
        self._spawner = spawner
        self._scratch = scratch
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, str] = {}
        """Conversions that ended without a word on the model: they are tried again by the next server."""

    async def engine(self, model: str, folder: Path, kept: Path | None, when_ready: Callable[[], Any]) -> Engine:
        """The engine for this model. `kept` is where what is made of it may stay; None where its folder may change.

        With `auto` transformers serves while the model is converted, and `when_ready` is called after that.
        """
        wanted = self._settings.engine
        kept_as = await run_in_threadpool(_kept_as, folder)
        if kept_as == "OpenVINO IR":
            return Engine("openvino", "it is kept as OpenVINO IR", self._arguments(folder), is_only_one=True)
        if kept_as == "ONNX":
            return Engine("onnxruntime", "it is kept as ONNX")
        if kept_as == "GGUF":
            return Engine("transformers", "it is kept as GGUF, whose weights it computes in f32")
        if wanted == "transformers":
            return Engine("transformers", "SIMORGH_ENGINE says so")
        if wanted == "auto" and has_gpu(self._settings.inference_device, os.environ):
            return Engine("transformers", "there is a GPU")
        if wanted == "auto" and kept is None:
            return Engine("transformers", "a folder that is named may change; SIMORGH_ENGINE=openvino converts it")
        reason = await run_in_threadpool(_obstacle, folder) or self._failed.get(model)
        if reason is not None:
            return self._fallback(model, reason)
        target = (kept or self._scratch / "converted" / model) / self._variant
        record = await run_in_threadpool(_record, target)
        if record is None and wanted == "auto":
            if model not in self._tasks:
                self._tasks[model] = asyncio.create_task(self._convert_then(model, folder, target, when_ready))
            return Engine("transformers", "it is being converted for OpenVINO")
        if record is None:
            await self._convert(model, folder, target)
            record = await run_in_threadpool(_record, target) or {"unfit": self._failed.get(model)}
        if "unfit" in record:
            return self._fallback(model, str(record["unfit"]))
        return Engine("openvino", "converted", self._arguments(target))

    @property
    def running(self) -> Collection[str]:
        """Models that are being converted beside their engine."""
        return self._tasks.keys()

    def without(self, model: str, reason: str) -> Engine:
        """Serve it by transformers: what was converted cannot be loaded."""
        self._failed[model] = reason
        return self._fallback(model, reason)

    async def close(self) -> None:
        """End what is being converted."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _arguments(self, converted: Path) -> tuple[str, ...]:
        arguments = ("--converted", str(converted), "--precision", self._settings.precision)
        return (*arguments, "--cache-bytes", str(self._settings.kv_cache_bytes))

    @property
    def _variant(self) -> str:
        weights = "int8" if self._settings.precision == "int8" else "f32"
        return f"{weights}-{version('openvino')}-{REVISION}"

    def _fallback(self, model: str, reason: str) -> Engine:
        log.warning("engine_is_transformers", model=model, reason=reason)
        return Engine("transformers", reason)

    async def _convert_then(self, model: str, folder: Path, target: Path, when_ready: Callable[[], Any]) -> None:
        try:
            await self._convert(model, folder, target)
        finally:
            del self._tasks[model]
        record = await run_in_threadpool(_record, target)
        if record is not None:
            await when_ready()

    async def _convert(self, model: str, folder: Path, target: Path) -> None:
        """Run the child; the target appears whole or not at all."""
        partial = target.parent / f".{new_id('part')}"
        log_path = self._scratch / f"{new_id('conv')}.log"
        await run_in_threadpool(shutil.rmtree, target, ignore_errors=True)
        weights = self._variant.partition("-")[0]
        process = await run_in_threadpool(
            self._spawner.spawn,
            [*_COMMAND, "--model-dir", str(folder), "--target", str(partial), "--weights", weights],
            environment=torch_child_environment(os.environ),
            log_path=log_path,
        )
        try:
            rc = await self._end_of(process)
            if rc == 0:
                partial.rename(target)
            else:
                tail = log_path.read_text(errors="replace").strip().splitlines()
                self._failed[model] = f"its conversion failed: {tail[-1][:300] if tail else f'it ended with {rc}'}"
            log.info("conversion_ended", model=model, rc=rc)
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(partial, ignore_errors=True)
            log_path.unlink(missing_ok=True)

    async def _end_of(self, process: "subprocess.Popen[bytes]") -> int:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.conversion_timeout_s):
                return await loop.run_in_executor(None, process.wait)
        except TimeoutError:
            return -1


def _kept_as(folder: Path) -> str | None:
    """The form that decides the engine; None for safetensors."""
    if (folder / MODEL_FILE).is_file():
        return "OpenVINO IR"
    if (folder / "model.onnx").is_file():
        return "ONNX"
    return "GGUF" if any(folder.glob("*.gguf")) else None


def _obstacle(folder: Path) -> str | None:
    if (folder / "adapter_config.json").is_file():
        return "adapters are served by transformers"
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return "it has no config.json that can be read"
    return obstacle(config) if isinstance(config, Mapping) else "its config.json is no object"


def _record(target: Path) -> dict[str, Any] | None:
    """What was written beside the conversion; None where there is none, or its files are not those that were made."""
    try:
        record: dict[str, Any] = json.loads((target / RECORD).read_bytes())
        whole = all(file_sha256(target / name) == digest for name, digest in record.get("files", {}).items())
    except (OSError, ValueError):
        return None
    return record if whole else None
