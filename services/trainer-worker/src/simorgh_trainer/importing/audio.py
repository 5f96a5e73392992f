"""Takes in audio sets: an archive of clips with `metadata.jsonl`, or Parquet with a clip in each row."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import msgspec

from simorgh_shared.audio.clips import Clip, read_clip
from simorgh_shared.datasets import parquet
from simorgh_shared.datasets.check import CheckOptions, CheckReport, report_of
from simorgh_shared.datasets.explain import explain_json
from simorgh_shared.datasets.rows import BOM, MAX_ROW_BYTES, AudioRow, Cell, RowSchema, fields_of, is_blank
from simorgh_shared.datasets.tally import Tally
from simorgh_shared.domain.errors import InvalidInputError, TooLargeError
from simorgh_shared.domain.messages import sentence
from simorgh_trainer.importing.archive import unpack

METADATA = "metadata.jsonl"
_CLIP_COLUMN = "audio"  # as the Hugging Face libraries call it
_BATCH_ROWS = 16  # clips of a minute are megabytes
Advance = Callable[[float], None]


class _ToldRow(msgspec.Struct, frozen=True):
    """What a line of metadata has to say; further fields are ignored."""

    file_name: Cell
    text: Cell


@dataclass
class AudioFound:
    """What was taken in of one file."""

    report: CheckReport
    clips: int = 0
    clip_bytes: int = 0
    duration_s: float = 0.0
    unused_files: int = 0
    """Files of the archive that no row names."""


def take_archive(
    path: Path, file_format: str, sha256: str, options: CheckOptions, work: Path, limit_bytes: int, advance: Advance
) -> AudioFound:
    """Judge an archive. Metadata goes to `options.clean`, the clips that it names beside it.

    Raises: InvalidInputError for an archive that cannot be used at all; TooLargeError.
    """
    files = unpack(path, file_format, work / "unpacked", limit_bytes)
    folder, metadata = _find_metadata(files, file_format)
    num_lines = max(1, _num_lines(metadata))
    with _taking(path, sha256, options) as taking:
        decoder = msgspec.json.Decoder(_told(options.columns))
        for number, line in _lines(metadata):
            advance(1 / num_lines)
            place = f"Line {number}"
            if len(line) > MAX_ROW_BYTES:
                taking.tally.refuse(place, sentence("row_too_long", {"limit": MAX_ROW_BYTES}))
                continue
            try:
                row = decoder.decode(line)
            except (ValueError, RecursionError) as error:
                taking.tally.refuse(place, explain_json(line, RowSchema.AUDIO, options.columns, str(error)))
                continue
            taking.take(place, row.file_name, row.text, files.get(_joined(folder, row.file_name)), may_come_again=True)
        return taking.found(len(files) - 1)


def take_parquet(
    path: Path, sha256: str, options: CheckOptions, work: Path, limit_bytes: int, advance: Advance
) -> AudioFound:
    """Judge Parquet with clips in it, as the Hugging Face libraries write them: bytes and path in one column.

    Raises: as `take_archive`.
    """
    text_column = options.columns.get("text", "text")
    scratch = work / "clip"
    num_bytes = 0
    with parquet.opened(path) as file, _taking(path, sha256, options) as taking:
        clip_column = audio_column(file.schema_arrow, options.row_schema)
        assert clip_column is not None
        if text_column not in parquet.unique_names(file.schema_arrow):
            found = ", ".join(sorted(name[:40] for name in file.schema_arrow.names)[:10])
            raise InvalidInputError("dataset_unknown_schema", found=found)
        parquet.require_text(file.schema_arrow, text_column)
        num_rows = max(1, file.metadata.num_rows)
        for number, row in parquet.rows_of(file, [clip_column, text_column], _BATCH_ROWS):
            advance(1 / num_rows)
            clip: Mapping[str, Any] = (row or {}).get(clip_column) or {}
            name = PurePosixPath(str(clip.get("path") or f"row {number}")).name
            if (data := clip.get("bytes")) is not None:
                num_bytes += len(data)
                if num_bytes > limit_bytes:
                    raise TooLargeError("dataset_too_large", limit_bytes=limit_bytes)
                scratch.write_bytes(data)
            text = (row or {}).get(text_column)
            taking.take(f"Row {number}", name, text or "", scratch if data is not None else None, may_come_again=False)
        return taking.found(0)


def audio_column(schema: Any, declared: RowSchema | None) -> str | None:
    """The column with the clips; None where the file is no audio set."""
    import pyarrow as pa

    def holds_clips(name: str) -> bool:
        kind = schema.field(name).type
        return pa.types.is_struct(kind) and any(
            member.name == "bytes" and (pa.types.is_binary(member.type) or pa.types.is_large_binary(member.type))
            for member in kind
        )

    names = [name for name in parquet.unique_names(schema) if holds_clips(name)]
    if declared is RowSchema.AUDIO and len(names) == 1:
        return names[0]
    is_audio = _CLIP_COLUMN in names and declared in (None, RowSchema.AUDIO)
    if declared is RowSchema.AUDIO and not is_audio:
        reason = "no column holds clips (a struct with bytes and path, called audio)"
        raise InvalidInputError("dataset_not_format", format="an audio set", reason=reason)
    return _CLIP_COLUMN if is_audio else None


class _Taking:
    """Rows and clips of one file on their way into the version."""

    def __init__(self, path: Path, sha256: str, options: CheckOptions, sink: BinaryIO) -> None:
        assert options.clean is not None
        self.tally = Tally(RowSchema.AUDIO, {}, sink)
        self._path, self._sha256, self._options = path, sha256, options
        self._split = options.clean.stem
        self._clips = options.clean.parent / "clips" / self._split
        self._clips.mkdir(parents=True)
        self._kept: dict[Path, AudioRow] = {}
        self._numbers = 0
        self._found = (0, 0, 0.0)

    def take(self, place: str, file_name: str, text: str, path: Path | None, *, may_come_again: bool) -> None:
        """Take a row with its clip, or say what is wrong with it. Several rows of an archive may name one clip."""
        shown = file_name[:80]
        if is_blank(text):
            self.tally.refuse(place, sentence("row_empty_field", {"field": self._options.columns.get("text", "text")}))
        elif "\0" in text or "\0" in file_name:
            self.tally.refuse(place, sentence("row_nul", {"field": "text"}))
        elif path is None:
            self.tally.refuse(place, sentence("clip_missing", {"clip": shown}))
        else:
            try:
                row = self._kept.get(path) if may_come_again else None
                row = self._kept[path] = row or self._keep(path)
            except ValueError as error:
                self.tally.refuse(place, sentence("clip_unreadable", {"clip": shown, "reason": str(error)}))
                return
            self.tally.take([msgspec.structs.replace(row, file_name=file_name, text=text)])

    def found(self, num_files: int) -> AudioFound:
        """What there was."""
        came = (self._path.stat().st_size, self._sha256)
        problem = None if self.tally.num_valid or self.tally.num_errors else InvalidInputError("dataset_empty")
        report = report_of(came, self.tally, problem, skip=self._options.skip_bad_rows)
        report.clean_needed = report.valid
        report.columns = {field: self._options.columns.get(field, field) for field in fields_of(RowSchema.AUDIO)}
        clips, clip_bytes, duration_s = self._found
        return AudioFound(report, clips, clip_bytes, round(duration_s, 3), max(0, num_files - len(self._kept)))

    def _keep(self, path: Path) -> AudioRow:
        """Look at a clip and put it in its place."""
        clip: Clip = read_clip(path)
        data_bytes = path.stat().st_size
        self._numbers += 1
        name = f"{self._numbers:06}.{clip.format}"
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        os.replace(path, self._clips / name)
        row = AudioRow(
            file_name="-",
            text="-",
            clip=f"clips/{self._split}/{name}",
            sha256=sha256,
            bytes=data_bytes,
            format=clip.format,
            sample_rate=clip.sample_rate,
            channels=clip.channels,
            duration_s=clip.duration_s,
        )
        clips, clip_bytes, duration_s = self._found
        self._found = (clips + 1, clip_bytes + data_bytes, duration_s + clip.duration_s)
        return row


@contextmanager
def _taking(path: Path, sha256: str, options: CheckOptions) -> Iterator[_Taking]:
    assert options.clean is not None
    with options.clean.open("wb") as sink:
        yield _Taking(path, sha256, options, sink)


def _told(columns: Mapping[str, str]) -> type[_ToldRow]:
    """The same under the file's names."""
    fields = fields_of(RowSchema.AUDIO)
    renamed = {field: columns[field] for field in fields if field in columns}
    types = [(field, Cell) for field in fields]
    made = msgspec.defstruct("Told", types, bases=(_ToldRow,), rename=renamed or None, frozen=True)
    assert issubclass(made, _ToldRow)
    return made


def _find_metadata(files: Mapping[str, Path], file_format: str) -> tuple[str, Path]:
    """The folder of the archive that the names are relative to, and the metadata."""
    found = sorted((name for name in files if PurePosixPath(name).name == METADATA), key=lambda name: name.count("/"))
    if len(found) != 1:
        reason = f"{len(found)} files in it are called {METADATA}" if found else f"it holds no {METADATA}"
        reason += ", which says file_name and text in each line"
        raise InvalidInputError("dataset_not_format", format=f"an audio set as .{file_format}", reason=reason)
    return found[0].removesuffix(METADATA), files[found[0]]


def _joined(folder: str, file_name: str) -> str:
    return folder + file_name.replace("\\", "/").removeprefix("./")


def _num_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers, without blank ones; of one that is too long no more than shows that it is."""
    number = 0
    with path.open("rb") as file:
        while line := file.readline(MAX_ROW_BYTES + 2):
            number += 1
            if number == 1:
                line = line.removeprefix(BOM)
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(MAX_ROW_BYTES)
            if not line.isspace():
                yield number, line
