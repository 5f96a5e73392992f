"""Owns who may run on a data folder: one supervisor, by a lock that the kernel drops with its process."""

import fcntl
import json
import os
from pathlib import Path

from simorgh_shared.domain.errors import ConflictError


class FolderLock:
    """Held while the supervisor lives; the file says who holds it."""

    def __init__(self, data_dir: Path) -> None:
        """Take the lock.

        Raises: ConflictError that names the process which has it.
        """
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = data_dir / "lock"
        # Not inherited by children: a child that outlives us must not keep the folder.
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            holder = read_holder(data_dir)
            raise ConflictError(
                "already_running",
                folder=str(data_dir),
                pid=str(holder.get("pid", "unknown")),
                address=str(holder.get("api_url", "not listening yet")),
            ) from None
        self.describe()

    def describe(self, api_url: str | None = None) -> None:
        """Write who holds the lock, and the address once there is one."""
        holder: dict[str, object] = {"pid": os.getpid()}
        if api_url is not None:
            holder["api_url"] = api_url
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(holder).encode(), 0)

    def release(self) -> None:
        """Let another supervisor have the folder."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def read_holder(data_dir: Path) -> dict[str, object]:
    """What the holder wrote; empty where nobody holds the folder."""
    try:
        holder: dict[str, object] = json.loads((data_dir / "lock").read_text())
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return {}
    return holder


def is_held(data_dir: Path) -> bool:
    """Whether a living process holds the folder."""
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
