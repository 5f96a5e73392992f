"""What a backup is: a manifest that names every other file of it by its hash, written last and signed.

    blobs/ab/ab12…            bytes by their SHA-256, shared by all backups of the place; `.gz`: as storage keeps them
    backups/NAME/tables/…     each table as COPY writes it, gzipped
    backups/NAME/incoming/…   files that jobs of the backup have still to look at
    backups/NAME/blobs.jsonl.gz, manifest.dsse.json, manifest.json

Without its manifest there is no backup: what an interrupted one has left is swept by the next.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
from isal import isal_zlib

from simorgh_shared.backup.places import Place
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.gzipped import GZIP_SUFFIX, GunzipError, gunzipped

FORMAT = 1
BACKUPS = "backups/"
BLOBS = "blobs/"
MANIFEST = "manifest.json"
ENVELOPE = "manifest.dsse.json"
_LEVEL = 1
_WITH_HEADER = 31
_PACKED_FROM_BYTES = 1 << 16


@dataclass(frozen=True)
class Packed:
    """A gzipped file of a backup."""

    name: str
    """Within the backup's own folder."""
    sha256: str
    """Of the file as it lies there."""
    bytes: int
    """Before it was packed."""


@dataclass(frozen=True)
class Table:
    """A table's rows."""

    name: str
    columns: Sequence[str]
    rows: int
    file: Packed


@dataclass(frozen=True)
class IdentityColumn:
    """Where the numbers of an identity column stand."""

    table: str
    column: str
    last_value: int
    is_called: bool


@dataclass(frozen=True)
class BlobLine:
    """A blob that the database names."""

    sha256: str
    key: str
    """Of its object in the platform's storage, where it comes back."""
    bytes: int
    stored_bytes: int = 0
    """Of the object, which may be the gzip of the bytes."""
    lost: bool = False
    """Storage had lost it, and no earlier backup had kept it."""

    @property
    def is_gzipped(self) -> bool:
        """Whether the object is the gzip of the bytes."""
        return self.key.endswith(GZIP_SUFFIX)

    @property
    def file(self) -> str:
        """Where it lies in the place."""
        return f"{BLOBS}{self.sha256[:2]}/{self.sha256}{GZIP_SUFFIX if self.is_gzipped else ''}"


@dataclass(frozen=True)
class IncomingLine:
    """A file that a job has still to look at."""

    key: str
    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Contents:
    """The manifest of a backup."""

    format: int
    name: str
    made_at: str
    """ISO 8601, by the clock of the database: when its rows were as they are here."""
    version: str
    revision: str
    """Of the schema."""
    postgres: str
    tables: Sequence[Table]
    sequences: Sequence[IdentityColumn]
    blobs: Packed
    num_blobs: int
    num_lost: int
    blob_bytes: int
    incoming: Sequence[IncomingLine] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """Where its own files lie."""
        return f"{BACKUPS}{self.name}/"


def put_packed(place: Place, folder: str, name: str, chunks: Iterable[bytes]) -> Packed:
    """Gzip chunks into a file of a backup."""
    digest, num_bytes = hashlib.sha256(), 0

    def packed() -> Iterator[bytes]:
        nonlocal num_bytes
        packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _WITH_HEADER)
        for chunk in _gathered(chunks):
            num_bytes += len(chunk)
            yield packer.compress(chunk)
        yield packer.flush()

    def hashed() -> Iterator[bytes]:
        for chunk in packed():
            digest.update(chunk)
            yield chunk

    place.put(folder + name, hashed())
    return Packed(name, digest.hexdigest(), num_bytes)


def read_packed(place: Place, folder: str, file: Packed) -> Iterator[bytes]:
    """What was gzipped, each chunk before the hash of the whole is known: it is checked at the end.

    Raises: InvalidInputError for a file that is not the one that was written, NotFoundError.
    """
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for chunk in place.read(folder + file.name):
            digest.update(chunk)
            yield chunk

    try:
        yield from gunzipped(hashed(), file.bytes)
    except GunzipError as error:
        raise InvalidInputError("backup_damaged", file=folder + file.name) from error
    if digest.hexdigest() != file.sha256:
        raise InvalidInputError("backup_damaged", file=folder + file.name)


def checked(
    chunks: Iterator[bytes], sha256: str, num_bytes: int | None, damaged: Callable[[], Exception]
) -> Iterator[bytes]:
    """The chunks as they are, if they are bytes of this hash: `num_bytes` says of how many they are the gzip.

    Raises: what `damaged` gives, at the end.
    """
    digest = hashlib.sha256()
    if num_bytes is None:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk
    else:
        waiting: list[bytes] = []

        def noted() -> Iterator[bytes]:
            for chunk in chunks:
                waiting.append(chunk)
                yield chunk

        try:
            for plain in gunzipped(noted(), num_bytes):
                digest.update(plain)
                yield from waiting
                waiting.clear()
        except GunzipError as error:
            raise damaged() from error
        yield from waiting
    if digest.hexdigest() != sha256:
        raise damaged()


def put_blob_lines(place: Place, folder: str, lines: Iterable[BlobLine]) -> Packed:
    """Write the list of a backup's blobs."""
    return put_packed(place, folder, "blobs.jsonl.gz", (msgspec.json.encode(line) + b"\n" for line in lines))


def read_blob_lines(place: Place, contents: Contents) -> Iterator[BlobLine]:
    """The blobs of a backup."""
    decoder = msgspec.json.Decoder(BlobLine)
    rest = b""
    for chunk in read_packed(place, contents.folder, contents.blobs):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from map(decoder.decode, lines)


def read_contents(place: Place, name: str) -> tuple[Contents, bytes]:
    """The manifest of a backup, and its bytes.

    Raises: NotFoundError, InvalidInputError.
    """
    try:
        written = b"".join(place.read(f"{BACKUPS}{name}/{MANIFEST}"))
    except NotFoundError as error:
        raise NotFoundError("backup_not_found", name=name) from error
    try:
        kind = msgspec.json.decode(written, type=dict[str, msgspec.Raw]).get("format")
        if kind is None or msgspec.json.decode(kind) != FORMAT:
            raise InvalidInputError("backup_format", name=name)
        return msgspec.json.decode(written, type=Contents), written
    except msgspec.MsgspecError as error:
        raise InvalidInputError("backup_damaged", file=f"{BACKUPS}{name}/{MANIFEST}") from error


def complete_backups(place: Place) -> list[str]:
    """The names of whole backups, from the oldest on."""
    return sorted(
        name.removeprefix(BACKUPS).removesuffix(f"/{MANIFEST}")
        for name, _ in place.sizes(BACKUPS)
        if name.endswith(f"/{MANIFEST}")
    )


def _gathered(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Rows together: the packer is called once for many."""
    waiting, num_waiting = [], 0
    for chunk in itertools.chain(chunks):
        waiting.append(bytes(chunk))
        num_waiting += len(chunk)
        if num_waiting >= _PACKED_FROM_BYTES:
            yield b"".join(waiting)
            waiting, num_waiting = [], 0
    if waiting:
        yield b"".join(waiting)
