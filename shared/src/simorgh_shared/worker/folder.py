"""The folder in which a worker keeps the files of its attempts."""

import fcntl
import shutil
from pathlib import Path

_HELD: list[object] = []
"""Open lock files: they are held until the process ends."""


def claim_folder(work_dir: Path, name: str) -> Path:
    """This worker's own folder below `work_dir`, locked while it lives; folders of dead workers are deleted."""
    work_dir.mkdir(parents=True, exist_ok=True)
    for other in work_dir.iterdir():
        lock = other / ".lock"
        if other.is_dir() and lock.exists():
            with lock.open("w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                shutil.rmtree(other, ignore_errors=True)
    folder = work_dir / name
    folder.mkdir()
    held = (folder / ".lock").open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    _HELD.append(held)
    return folder
