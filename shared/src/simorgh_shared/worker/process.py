"""Starts a job's child and owns every file between the two (the `Launcher` port; here: a local process).

The runner sees lines, controls and named folders; it opens no path of the child's. Another launcher (torchrun, a
pod) can stand behind the same port.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared import tracing
from simorgh_shared.monitoring.processor_time import ProcessorTime
from simorgh_shared.queue.endings import Exit
from simorgh_shared.spawning import Spawner, torch_child_environment
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob, file_sha256
from simorgh_shared.storage.incoming import IncomingFile, IncomingStore
from simorgh_shared.storage.manifests import Entry, materialise

_LOG_TAIL_BYTES = 4_000


@dataclass(frozen=True)
class LaunchPlan:
    """What a child needs: the module to run, its `run.json`, the files by folder below `inputs/`, its devices."""

    module: str
    run: Mapping[str, Any]
    inputs: Mapping[str, Sequence[Entry]]
    devices: Sequence[str] = ()
    """GPUs that the child sees; it sees no others."""
    incoming: Sequence[IncomingFile] = ()
    """Files that nobody has looked at yet, for `inputs/incoming/`."""


class InputLostError(ArtifactLostError):
    """A file that the child needs is gone from storage or damaged; `folder` says of which input."""

    def __init__(self, folder: str, lost: ArtifactLostError) -> None:
        super().__init__(lost.path, lost.sha256)
        self.folder = folder


class ChildRun(Protocol):
    """A child that has been started."""

    def read_lines(self) -> list[dict[str, Any]]:
        """The whole lines that the child has written since the last call."""

    def write_control(self, control: Mapping[str, Any]) -> None:
        """Replace what the child reads at each step."""

    def poll(self) -> Exit | None:
        """How it ended, or None."""

    def cpu_seconds(self) -> float:
        """Processor time that it and its descendants have taken so far; after its end too."""

    def kill(self) -> Exit:
        """End it with all its descendants, and wait for that."""

    def store(self, folder: str) -> list[Entry]:
        """Store a folder that the child wrote; raises UnavailableError when storage is silent."""

    def discard(self, folder: str) -> None:
        """Delete a folder that the child wrote."""

    def log_tail(self) -> str:
        """The end of what it printed."""

    def close(self) -> None:
        """Delete its files. It must have ended."""


class Launcher(Protocol):
    """Starts children."""

    def start(self, job_id: str, attempt: int, plan: LaunchPlan) -> ChildRun:
        """Materialise the inputs and start the child.

        Raises: InputLostError; NotFoundError for an incoming file that is gone; UnavailableError when storage is
        silent. Nothing stays then.
        """


class LocalLauncher:
    """Starts children as processes of this machine, each in its own session and work folder."""

    def __init__(
        self, work_dir: Path, store: BlobStore, incoming: IncomingStore, sessions: sessionmaker[Session]
    ) -> None:
        self._work_dir = work_dir
        self._store = store
        self._incoming = incoming
        self._sessions = sessions
        self._spawner = Spawner()

    def start(self, job_id: str, attempt: int, plan: LaunchPlan) -> ChildRun:
        """Materialise the inputs and start the child. Nothing stays where that fails."""
        folder = self._work_dir / job_id / str(attempt)
        folder.mkdir(parents=True)
        try:
            with tracing.span("materialise"):
                for name, files in plan.inputs.items():
                    self._materialise(folder, name, files)
                lie_at = self._fetch(folder / "inputs" / "incoming", plan.incoming)
            _write_json(folder / "run.json", plan.run)
            _write_json(folder / "control.json", {"desired_state": "run", "drain": False, "checkpoint_request": 0})
            (folder / "events.jsonl").touch()
            process = self._spawner.spawn(
                [sys.executable, "-m", plan.module, str(folder)],
                environment=torch_child_environment(os.environ)
                | {"CUDA_VISIBLE_DEVICES": ",".join(plan.devices)}
                | _trace_variable(),
                log_path=folder / "child.log",
                folder=folder,
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return LocalRun(folder, process, self._store, self._sessions, lie_at)

    def _fetch(self, folder: Path, files: Sequence[IncomingFile]) -> dict[str, str]:
        """Fetch what has no hash yet; by the hash that it turns out to have, where it lies in storage."""
        return {self._incoming.fetch(file, folder / file.name): file.key for file in files}

    def _materialise(self, folder: Path, name: str, files: Sequence[Entry]) -> None:
        try:
            materialise(self._store, files, folder / "inputs" / name)
        except ArtifactLostError as error:
            raise InputLostError(name, error) from error


class LocalRun:
    """A child on this machine."""

    def __init__(
        self,
        folder: Path,
        process: "subprocess.Popen[bytes]",
        store: BlobStore,
        sessions: sessionmaker[Session],
        lie_at: Mapping[str, str],
    ) -> None:
        self._folder = folder
        self._process = process
        self._cpu = ProcessorTime(process.pid)
        self._store = store
        self._sessions = sessions
        self._lie_at = lie_at
        """Keys of incoming files by their hashes: what the child kept as it came need not be sent again."""
        self._events = (folder / "events.jsonl").open("rb")
        self._partial = b""

    @property
    def pid(self) -> int:
        """The child's process id, which is its session's too."""
        return self._process.pid

    def read_lines(self) -> list[dict[str, Any]]:
        """The whole lines since the last call; a line that is still being written waits."""
        data = self._partial + self._events.read()
        *lines, self._partial = data.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]

    def write_control(self, control: Mapping[str, Any]) -> None:
        """Replace the control file in one step."""
        _write_json(self._folder / "control.json", control)

    def poll(self) -> Exit | None:
        """How it ended, or None."""
        self._cpu.settle_at_end(wait=False)
        code = self._process.poll()
        return None if code is None else _exit(code)

    def cpu_seconds(self) -> float:
        """Processor time that it and its descendants have taken so far."""
        return self._cpu.seconds()

    def kill(self) -> Exit:
        """SIGKILL to the session and to every descendant that left it, then wait."""
        self._cpu.seconds()  # of descendants that nobody will wait for, this is what is known
        for process in _family(self._process.pid):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._cpu.settle_at_end(wait=True)
        return _exit(self._process.wait())

    def store(self, folder: str) -> list[Entry]:
        """Store every file of a folder and return the entries of its manifest."""
        root = self._folder / folder
        paths = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
        return [Entry(str(path.relative_to(root)), self._put(path)) for path in paths]

    def _put(self, path: Path) -> StoredBlob:
        sha256 = file_sha256(path)
        return self._store.put(self._sessions, path, sha256, self._lie_at.get(sha256))

    def discard(self, folder: str) -> None:
        """Delete a folder that the child wrote."""
        shutil.rmtree(self._folder / folder, ignore_errors=True)

    def log_tail(self) -> str:
        """The end of what it printed."""
        with (self._folder / "child.log").open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Delete its files."""
        self._events.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _trace_variable() -> dict[str, str]:
    """So that a child's libraries, should they keep traces, keep them below ours."""
    parent = tracing.current().traceparent
    return {} if parent is None else {"TRACEPARENT": parent}


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _exit(code: int) -> Exit:
    return Exit(signal=-code) if code < 0 else Exit(exit_code=code)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
