"""Unpacks the archive of a model folder: plain files alone, under names that stay inside, within bounds."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from simorgh_shared.domain.errors import InvalidInputError, TooLargeError
from simorgh_shared.model_folders import paths

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK_BYTES = 1 << 20
_MAX_PADDING_BYTES = 16 << 20
_FREE_BYTES = 64 << 20  # so much may come out of any archive
_MAX_RATIO = 100  # weights shrink to two thirds, tokenizers to a tenth


def is_archive(path: Path) -> bool:
    """Whether a file is a tar, a gzipped tar or a zip archive, whatever its name says."""
    with path.open("rb") as file:
        start = file.read(512)
    return start[257:262] == b"ustar" or start.startswith((b"\x1f\x8b", b"PK\x03\x04"))


def unpack(archive: Path, folder: Path, limit_bytes: int) -> list[str]:
    """Write the files of an archive below `folder`; returns the names of those that were left out.

    Raises: InvalidInputError, TooLargeError.
    """
    written = _Written(folder, min(limit_bytes, max(_FREE_BYTES, _MAX_RATIO * archive.stat().st_size)), limit_bytes)
    with archive.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
    try:
        for name, stream in _zip_members(archive) if is_zip else _tar_members(archive):
            written.add(name, stream)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault
        raise _unfit(str(error)[:100] or type(error).__name__) from error
    except MemoryError as error:
        raise _unfit("its table of contents is too large") from error
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise _unfit("its compressed data are damaged") from error
        raise
    return written.left_out


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        whole = _Tail(gzip.GzipFile(fileobj=raw) if is_packed else raw)
        with tarfile.open(fileobj=io.BufferedReader(whole, _CHUNK_BYTES), mode="r|") as tar:
            for member in tar:
                if member.isdir():
                    continue
                if not member.isreg():
                    reason = "it is a link or a device"
                    raise InvalidInputError("model_path_unfit", path=member.name[:100], reason=reason)
                stream = tar.extractfile(member)
                assert stream is not None
                yield member.name, stream
        if not whole.ends_as_archives_do():
            raise _unfit("it is cut off")


class _Tail(io.RawIOBase):
    """A stream that remembers how it ended: an archive that is cut between two files looks whole to `tarfile`."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        super().__init__()
        self._stream = stream
        self._last = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """The next bytes; none at the end."""
        target = memoryview(buffer).cast("B")
        chunk = self._stream.read(len(target))
        target[: len(chunk)] = chunk
        self._last = (self._last + chunk)[-tarfile.BLOCKSIZE :]
        return len(chunk)

    def ends_as_archives_do(self) -> bool:
        """Whether it ends with a block of zeros, and what packed it with its checksum."""
        for _ in range(_MAX_PADDING_BYTES // _CHUNK_BYTES):
            if not self.readinto(bytearray(_CHUNK_BYTES)):
                return self._last == bytes(tarfile.BLOCKSIZE)
        return False


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                reason = "it is a link or a device"
                raise InvalidInputError("model_path_unfit", path=member.filename[:100], reason=reason)
            if member.flag_bits & 1:
                raise _unfit("it is encrypted")
            with packed.open(member) as stream:
                yield member.filename, stream


class _Written:
    """What has come out of an archive so far."""

    def __init__(self, folder: Path, most_bytes: int, limit_bytes: int) -> None:
        self.left_out: list[str] = []
        self._folder = folder
        self._most_bytes = most_bytes
        self._limit_bytes = limit_bytes
        self._num_bytes = 0
        self._names: set[str] = set()
        self._num_members = 0

    def add(self, given: str, stream: IO[bytes]) -> None:
        self._num_members += 1
        if self._num_members > paths.MAX_FILES:
            raise _unfit(f"it holds more than {paths.MAX_FILES} files")
        if paths.is_left_out(given.removeprefix("./")):
            self.left_out.append(given)
            return
        name = paths.checked(given)
        if name.casefold() in self._names:
            raise InvalidInputError("model_path_unfit", path=name[:100], reason="it is there twice")
        self._names.add(name.casefold())
        target = self._folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while chunk := stream.read(_CHUNK_BYTES):
                    self._count(len(chunk))
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError) as error:
            raise InvalidInputError("model_path_unfit", path=name[:100], reason="a file stands in its way") from error

    def _count(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        if self._num_bytes > self._most_bytes:
            if self._most_bytes == self._limit_bytes:
                raise TooLargeError("upload_too_large", limit_bytes=self._limit_bytes)
            raise _unfit(f"it grows to more than {_MAX_RATIO} times its size")


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError("model_archive_unfit", reason=reason)
