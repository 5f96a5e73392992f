"""The folder of a server's sockets and engine logs: below the system's, as a socket's path may have 108 bytes only."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "simorgh-engines-"
_LOCK = "lock"


class EngineFolder:
    """A folder of this server's own. Those of servers that were killed are removed when the next one starts."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # the kernel drops it with this process
        for folder in self.path.parent.glob(f"{_PREFIX}*"):
            if folder != self.path:
                _remove_left(folder)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _remove_left(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # another user's, or one that is being made or removed
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return  # its server lives
    finally:
        os.close(lock)
