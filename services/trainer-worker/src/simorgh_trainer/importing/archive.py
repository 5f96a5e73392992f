"""Takes archives apart: every file lands under a number of ours. Names are data, never paths."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from simorgh_shared.domain.errors import InvalidInputError, TooLargeError

MAX_FILES = 100_000
MAX_RATIO = 100
"""Sound hardly gets smaller; what grows more than that was made to."""
_SMALL_BYTES = 64 << 20  # below that no ratio is looked at: silence compresses well
_CHUNK_BYTES = 1 << 20
_NOT_OURS = ("__MACOSX", ".DS_Store")


@dataclass(frozen=True)
class Member:
    """A file of an archive."""

    name: str
    stream: IO[bytes]


def unpack(path: Path, file_format: str, folder: Path, limit_bytes: int) -> dict[str, Path]:
    """Write the files of an archive into `folder`; by the name that each has in the archive.

    Raises: InvalidInputError for what is no such archive, holds links, or was made to grow; TooLargeError.
    """
    folder.mkdir()
    most = min(limit_bytes, max(_SMALL_BYTES, MAX_RATIO * path.stat().st_size))
    files: dict[str, Path] = {}
    with _reading(file_format):
        num_bytes = 0
        for member in _members(path, file_format):
            name = _clean(member.name)
            if name is None:
                continue
            if name in files:
                raise _unfit(file_format, f"{name[:80]} stands in it twice")
            if len(files) == MAX_FILES:
                raise _unfit(file_format, f"it holds more than {MAX_FILES} files")
            files[name] = folder / f"{len(files):06}"
            with files[name].open("xb") as sink:
                while chunk := member.stream.read(_CHUNK_BYTES):
                    num_bytes += len(chunk)
                    if num_bytes > limit_bytes:
                        raise TooLargeError("dataset_too_large", limit_bytes=limit_bytes)
                    if num_bytes > most:
                        raise _unfit(file_format, f"it grows to more than {MAX_RATIO} times its size")
                    sink.write(chunk)
    return files


def _members(path: Path, file_format: str) -> Iterator[Member]:
    return _zip_members(path) if file_format == "zip" else _tar_members(path)


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for found in archive.infolist():
            kind = stat.S_IFMT(found.external_attr >> 16)
            if found.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                raise _unfit("zip", f"{_clean(found.filename)} is a link or a device")
            if found.flag_bits & 1:
                raise _unfit("zip", "it is encrypted")
            with archive.open(found) as stream:
                yield Member(found.filename, stream)


def _tar_members(path: Path) -> Iterator[Member]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    # Read as a stream: nothing has to be kept of an archive that never ends.
    with tarfile.open(path, "r|gz") if is_packed else tarfile.open(path, "r|") as archive:
        for found in archive:
            if found.isdir():
                continue
            if not found.isreg():
                raise _unfit("tar", f"{_clean(found.name)} is a link or a device")
            stream = archive.extractfile(found)
            assert stream is not None
            yield Member(found.name, stream)


def _clean(name: str) -> str | None:
    """A name as the metadata may say it; None for what an operating system has added."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "\ufffd")
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in (".", "/")]
    if not parts or parts[0] == _NOT_OURS[0] or parts[-1] == _NOT_OURS[1] or parts[-1].startswith("._"):
        return None
    return "/".join(parts)


@contextmanager
def _reading(file_format: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _unfit(file_format, str(error)[:100] or type(error).__name__) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _unfit(file_format, str(error)[:100]) from error  # gzip's


def _unfit(file_format: str, reason: str) -> InvalidInputError:
    return InvalidInputError(
        "dataset_not_format", format=f"a usable .{file_format} archive", reason=reason[:200].rstrip(".")
    )
