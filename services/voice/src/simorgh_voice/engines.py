"""Keeps the engine children: started at first need, one for each slot, kept warm, started again when one is lost."""

import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import Lane
from simorgh_shared.engine_folder import EngineFolder
from simorgh_shared.spawning import Process, Spawner, torch_child_environment
from simorgh_voice import metrics
from simorgh_voice.engine_child import EngineChild

log = structlog.get_logger()
ENGINE_COMMAND = (sys.executable, "-m", "simorgh_voice.engine")
_LET_GO_S = 5.0  # a model that is being loaded hears nothing meanwhile


@dataclass(frozen=True)
class EngineLimits:
    """What each engine gets."""

    threads: int
    memory_bytes: int
    devices: Sequence[str] = ()
    """GPUs that it sees; with none it works on the processor."""
    start_timeout_s: float = 60.0
    long_gives_way: bool = True
    """On the processor the long one runs when nobody else wants to (SCHED_IDLE); a GPU is only fed by it."""


class Engines:
    """The warm children, by lane. A worker's slots see to it that no lane lends more of them than it has slots."""

    def __init__(
        self, limits: EngineLimits, command: Sequence[str] = ENGINE_COMMAND, let_go_s: float = _LET_GO_S
    ) -> None:
        self._limits = limits
        self._let_go_s = let_go_s
        self._command = list(command)
        self._spawner = Spawner()
        self._folder = EngineFolder()
        self._lock = threading.Lock()
        self._idle: dict[Lane, list[EngineChild]] = {lane: [] for lane in Lane}

    @contextmanager
    def lent(self, lane: Lane) -> Iterator[EngineChild]:
        """An engine of this lane, to oneself. It comes back idle, or is killed.

        Raises: UnavailableError when none can be started.
        """
        engine = self._idle_one(lane) or self._start(lane)
        try:
            yield engine
        finally:
            engine.let_go(self._let_go_s)
            if engine.is_idle:
                with self._lock:
                    self._idle[lane].append(engine)
            else:
                engine.kill()

    def close(self) -> None:
        """End them all."""
        with self._lock:
            for engines in self._idle.values():
                while engines:
                    engines.pop().kill()
        self._folder.close()

    def _idle_one(self, lane: Lane) -> EngineChild | None:
        while True:
            with self._lock:
                engine = self._idle[lane].pop() if self._idle[lane] else None
            if engine is None or engine.is_idle:
                return engine
            engine.kill()  # it has ended while nobody used it

    def _start(self, lane: Lane) -> EngineChild:
        name = new_id("eng")
        path, log_path = self._folder.path / name, self._folder.path / f"{name}.log"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(1)
            engine = EngineChild(lane, self._spawn(lane, str(path), log_path), listener, log_path)
            try:
                engine.wait_ready(self._limits.start_timeout_s)
            except BaseException:
                metrics.ENGINE_STARTS.labels(lane, "failed").inc()
                raise
            finally:
                path.unlink(missing_ok=True)
        metrics.ENGINE_STARTS.labels(lane, "ready").inc()
        log.info("engine_ready", lane=lane, pid=engine.pid)
        return engine

    def _spawn(self, lane: Lane, socket_path: str, log_path: Path) -> Process:
        limits = self._limits
        options = {
            "--socket": socket_path,
            "--lane": str(lane),
            "--threads": str(limits.threads),
            "--memory-bytes": str(limits.memory_bytes),
            "--device": "cuda" if limits.devices else "cpu",
        }
        gives_way = lane is Lane.LONG and limits.long_gives_way and not limits.devices
        words = [*(word for option in options.items() for word in option), *(["--gives-way"] if gives_way else [])]
        return self._spawner.spawn(
            [*self._command, *words],
            environment=torch_child_environment(os.environ) | {"CUDA_VISIBLE_DEVICES": ",".join(limits.devices)},
            log_path=log_path,
        )
