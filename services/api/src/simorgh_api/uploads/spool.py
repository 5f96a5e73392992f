"""Folders on disk for what is being sent. Those that a killed gateway left behind go with the next one."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool

_PREFIX = "simorgh-model-"
_SETTLED_S = 60.0  # a folder is locked right after it is made


@contextlib.asynccontextmanager
async def spool_folder(parent: Path | None) -> AsyncIterator[Path]:
    """A folder that is gone after the block. Its lock tells other gateways that it is in use."""
    place = parent or Path(tempfile.gettempdir())
    folder, lock = await run_in_threadpool(_make, place)
    try:
        yield folder
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)
        os.close(lock)


def _make(place: Path) -> tuple[Path, int]:
    place.mkdir(parents=True, exist_ok=True)
    for path in _abandoned(place):
        shutil.rmtree(path, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _abandoned(place: Path) -> Iterator[Path]:
    for path in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, in use, or another user's
            if time.time() - path.stat().st_mtime < _SETTLED_S:
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path
            finally:
                os.close(lock)
