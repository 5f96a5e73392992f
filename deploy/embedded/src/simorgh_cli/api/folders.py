"""Owns a model's folder on its way down: written and hashed as it comes, and put in place when it is whole."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from simorgh_cli.api.files import Moved
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.model_folders import paths

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK_BYTES = 1 << 20
_HASH = "SIMORGH.sha256"


def unpack(chunks: Iterator[bytes], folder: Path, expected: Mapping[str, str] | None, moved: Moved) -> int:
    """Write the files of an archive that comes in pieces; returns its bytes.

    Each file must have the hash that `expected` names, or the archive itself where there is no manifest.
    Raises: InvalidInputError for an archive that is cut or holds anything else; nothing is kept then.
    """
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        found = {}
        num_bytes = 0
        with tarfile.open(fileobj=_as_file(chunks, moved), mode="r|") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise _cut(f"{member.name[:100]} is no plain file")
                name = paths.checked(member.name)
                found[name] = _write(stream, partial / name)
                wanted = member.pax_headers.get(_HASH) if expected is None else expected.get(name)
                if found[name] != wanted:
                    raise _cut(
                        f"{name} has the SHA-256 {found[name][:16]}…, and {(wanted or 'nothing')[:16]}… was told"
                    )
                num_bytes += member.size
        missing = sorted(set(expected or found) - set(found))
        if missing or not found:
            raise _cut(f"{missing[0] if missing else 'every file'} is missing")
        if folder.is_dir():
            folder.rmdir()  # empty, as the caller has seen
        partial.rename(folder)
        return num_bytes
    except tarfile.TarError as error:
        raise _cut(str(error)[:100]) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def _write(stream: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cut(reason: str) -> InvalidInputError:
    return InvalidInputError("model_archive_cut", reason=reason)


def _as_file(chunks: Iterator[bytes], moved: Moved) -> io.BufferedReader:
    return io.BufferedReader(_Stream(chunks, moved), _CHUNK_BYTES)


class _Stream(io.RawIOBase):
    """Pieces as they come, read like a file."""

    def __init__(self, chunks: Iterator[bytes], moved: Moved) -> None:
        super().__init__()
        self._chunks = chunks
        self._moved = moved
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        """The next bytes; none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
            self._moved(len(self._rest))
        target = memoryview(buffer).cast("B")
        length = min(len(target), len(self._rest))
        target[:length] = self._rest[:length]
        self._rest = self._rest[length:]
        return length
