"""Notes which of our lines run, in every Python process that has this folder on its PYTHONPATH (docs/adr/0005).

Python imports a module of this name when it starts. Our sources are then compiled with a note before each statement:
a byte of a file that all processes map, so that nothing is to be saved at the end and what was killed is counted too.
"""

import contextlib
import marshal
import mmap
import os
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[3]
NOTES = ROOT / ".coverage-lines"
"""A file for each source, by its path; its byte N says whether line N ran."""
_COMPILED = NOTES / "compiled"
_SOURCES = tuple(str(ROOT / folder) + os.sep for folder in ("shared/src", "services", "deploy/embedded/src"))
_load_plain = SourceFileLoader.get_code


def lines_of(path: str, num_lines: int) -> "mmap.mmap | bytearray":
    """The notes of a source; where this process may not write, notes that nobody reads."""
    try:
        descriptor = os.open(NOTES / _flat(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return bytearray(num_lines + 1)
    try:
        if os.fstat(descriptor).st_size <= num_lines:
            os.ftruncate(descriptor, num_lines + 1)
        return mmap.mmap(descriptor, num_lines + 1)
    finally:
        os.close(descriptor)


def _load(loader: SourceFileLoader, fullname: str) -> CodeType | None:
    """A module's code; ours with notes, compiled once for all processes."""
    if not loader.path.startswith(_SOURCES):
        return _load_plain(loader, fullname)
    status = os.stat(loader.path)
    kept = _COMPILED / f"{_flat(loader.path)}-{status.st_mtime_ns}-{status.st_size}"
    with contextlib.suppress(OSError):
        code: CodeType = marshal.loads(kept.read_bytes())
        return code
    import noting  # only where nobody has compiled this source before

    code = noting.compile_noted(Path(loader.path))
    with contextlib.suppress(OSError):
        partial = kept.with_name(f"{kept.name}.{os.getpid()}")
        partial.write_bytes(marshal.dumps(code))
        partial.replace(kept)
    return code


def _flat(path: str) -> str:
    return path[len(str(ROOT)) + 1 :].replace(os.sep, "|")


with contextlib.suppress(OSError):
    _COMPILED.mkdir(parents=True, exist_ok=True)
SourceFileLoader.get_code = _load  # type: ignore[method-assign]
