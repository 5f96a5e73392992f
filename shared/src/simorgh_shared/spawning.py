"""Starts child processes from one thread that lives as long as this process.

The kernel sends a child its parent-death signal when the thread that made it ends, not when the process does: a child
that a pool's thread started would die with that thread.
"""

import ctypes
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

_ALLOWED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONUNBUFFERED")
_ALLOWED_PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "OMP_", "GOMP_", "MKL_", "PYTHONDONTWRITE")
PARENT_PID = "SIMORGH_PARENT_PID"
"""The variable by which a child checks that it still has the parent that started it."""

Process = subprocess.Popen[bytes]

_PR_SET_DUMPABLE = 4


class Spawner:
    """Starts children, each in a session of its own, with its output in a file."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[tuple[Callable[[], Process], Future[Process]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="spawner", daemon=True).start()

    def spawn(
        self, command: Sequence[str], *, environment: Mapping[str, str], log_path: Path, folder: Path | None = None
    ) -> Process:
        """Start a process; what it prints goes to `log_path`. May be called from any thread.

        Raises: OSError.
        """

        def start() -> Process:
            with log_path.open("wb") as output:
                return subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

        answer: Future[Process] = Future()
        self._requests.put((start, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            start, answer = self._requests.get()
            try:
                answer.set_result(start())
            except BaseException as error:
                answer.set_exception(error)


def torch_child_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a child that loads torch sees of this process's environment: an allow-list, without credentials.

    OpenMP's waiting threads must sleep: spinning ones made bf16 training on two cores 20 to 80 times slower.
    """
    allowed = {name: own[name] for name in own if name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)}
    return allowed | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        PARENT_PID: str(os.getpid()),
    }


def forbid_inspection() -> None:
    """Clear this process's dumpable flag, so that a child of the same user cannot read its memory and environment.

    Whoever holds credentials and starts children says so first. As root it does not hold: root reads everything.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
