"""Lets go of what lies in the cache for nobody: folders and conversions of versions that are deleted, or long unused.

Nothing is lost: storage has the files, and a conversion is made again. What an engine holds now is passed over.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

DERIVED = ".derived"
_USED = ".used"
_PARTIAL = ".part"
_PARTIAL_S = 86_400.0  # no download and no conversion takes longer


def mark_used(cache_dir: Path, model: str) -> None:
    """Note that a version was loaded now."""
    marks = cache_dir / _USED
    marks.mkdir(parents=True, exist_ok=True)
    (marks / model).touch()


def trim(
    cache_dir: Path, living: Callable[[Collection[str]], Collection[str]], in_use: Collection[str], unused_s: float
) -> list[str]:
    """Remove what can go; the versions that it was of. `living` tells which versions there still are.

    A folder that nobody marked, as of an older release, counts as used now.
    """
    here = {path.name for path in _inside(cache_dir)} | {path.name for path in _inside(cache_dir / DERIVED)}
    candidates = here - set(in_use)
    there_are = set(living(candidates)) if candidates else set()
    gone = sorted(name for name in candidates if name not in there_are or _age_s(cache_dir, name) > unused_s)
    for name in gone:
        for path in (cache_dir / name, cache_dir / DERIVED / name):
            shutil.rmtree(path, ignore_errors=True)
        (cache_dir / _USED / name).unlink(missing_ok=True)
    for path in (*cache_dir.glob(f"{_PARTIAL}*"), *(cache_dir / DERIVED).glob(f"*/{_PARTIAL}*")):
        with contextlib.suppress(FileNotFoundError):  # it was finished just now
            if time.time() - path.stat().st_mtime > _PARTIAL_S:
                shutil.rmtree(path, ignore_errors=True)
    return gone


def _inside(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if not path.name.startswith("."))


def _age_s(cache_dir: Path, model: str) -> float:
    mark = cache_dir / _USED / model
    try:
        return time.time() - mark.stat().st_mtime
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
        return 0.0
