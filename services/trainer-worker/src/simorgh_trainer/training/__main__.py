"""Entry of the training child: `python -m simorgh_trainer.training WORK_DIR`.

It dies with its parent, and sets how OpenMP's threads wait before torch is first imported.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
EXIT_FAILED = 3
"""The run explained in a `failed` event why it cannot be done."""


def main() -> int:
    """Run one attempt; the exit code."""
    if len(sys.argv) != 2:
        print("usage: python -m simorgh_trainer.training WORK_DIR", file=sys.stderr)
        return 2
    _die_with_parent()
    # Threads that spin while they wait take the cores from those that compute: bf16 training falls 20 to 80 times.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # repeatable products on a GPU
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    return _run(Path(sys.argv[1]).resolve())


def _die_with_parent() -> None:
    """Ask the kernel to end this process with its parent, then look whether that one is still there."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    expected = os.environ.get("SIMORGH_PARENT_PID")
    if expected is not None and os.getppid() != int(expected):
        os._exit(1)


def _run(folder: Path) -> int:
    # Imported here because torch reads the environment when it is loaded.
    from simorgh_trainer.training.events import EventLog

    with EventLog(folder / "events.jsonl") as events:
        from simorgh_trainer.training.failures import explain
        from simorgh_trainer.training.loop import CancelledError
        from simorgh_trainer.training.run import run_attempt

        try:
            run_attempt(folder, events)
        except CancelledError:
            events.emit("left", reason="cancel")
        except Exception as error:
            failure = explain(error, folder)
            if failure is None:
                raise
            events.emit("failed", code=failure.code, params=failure.params, message=failure.message())
            return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
