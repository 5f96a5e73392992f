"""How a child's program begins and ends, whatever its work is."""

import ctypes
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
EXIT_FAILED = 3
"""The child explained in a `failed` event why the work cannot be done."""
EXIT_USAGE = 2


def work_folder(module: str) -> Path | None:
    """The work folder that the program was started with, the child tied to its parent's life; None for a wrong call."""
    if len(sys.argv) != 2:
        print(f"usage: python -m {module} WORK_DIR", file=sys.stderr)
        return None
    die_with_parent()
    return Path(sys.argv[1]).resolve()


def die_with_parent() -> None:
    """Ask the kernel to end this process with its parent, then look whether that one is still there."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    expected = os.environ.get("SIMORGH_PARENT_PID")
    if expected is not None and os.getppid() != int(expected):
        os._exit(1)
