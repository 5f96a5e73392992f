"""The job in which one model hears the clips of a dataset; it goes on behind the last clip that was heard."""

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.datasets.rows import AudioRow, RowSchema, iter_rows
from simorgh_shared.db.models import DatasetVersion, JobEvent
from simorgh_shared.domain.errors import AppError, NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage import manifests
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob
from simorgh_voice.engine.protocol import CLIPS, ClipToHear
from simorgh_voice.jobs.transcribe import model_files
from simorgh_voice.kinds import EnginePlan

_SPARE_BYTES = 1 << 28  # a disk that is full to the last byte stops others too


def plan(session: Session, lease: Lease) -> EnginePlan:
    """Look up the model, the version's files, and how far an earlier attempt came.

    Raises: NotFoundError when model or dataset are gone.
    """
    spec = lease.spec
    version = session.get(DatasetVersion, spec["dataset_version_id"])
    files = manifests.entries(session, version.manifest_id) if version is not None else []
    blobs = {file.path: file.blob for file in files}
    rows = blobs.get(f"{spec['split']}.jsonl")
    if rows is None:
        raise NotFoundError("dataset_not_found", dataset_id=str(spec["dataset_id"]))
    told = sa.select(JobEvent.payload["row"].as_integer()).where(
        JobEvent.job_id == lease.job_id, JobEvent.type == "heard"
    )
    last_row = session.scalar(told.order_by(JobEvent.seq.desc()).limit(1))
    first_row = 0 if last_row is None else last_row + 1
    model_id = str(spec["model_version_id"])
    return EnginePlan(
        f"transcribe:{model_id}",
        model_id,
        model_files(session, model_id),
        inputs=Clips(str(spec["dataset_id"]), rows, blobs, first_row, int(spec["num_rows"])),
        resumed={"attempt": lease.attempt, "row": first_row} if first_row else None,
    )


def keep(session: Session, lease: Lease, result: Mapping[str, Any], stored: StoredBlob | None) -> dict[str, Any]:
    """Nothing but the events, which the evaluation reads."""
    del stored, result
    told = sa.select(sa.func.count()).where(JobEvent.job_id == lease.job_id, JobEvent.type == "heard")
    return {"num_rows": session.scalar(told)}


@dataclass(frozen=True)
class Clips:
    """The clips of a split that are still to be heard, as an input folder."""

    dataset_id: str
    rows: StoredBlob
    blobs: Mapping[str, StoredBlob]
    first_row: int
    num_rows: int

    def fill(self, folder: Path, store: BlobStore, check: Callable[[], None]) -> Sequence[ArtifactLostError]:
        """Fetch them, and write the list of them.

        Raises: AppError where the rows themselves are lost, or the disk has no room.
        """
        path = folder / "rows.jsonl"
        try:
            store.fetch(self.rows, path)
        except ArtifactLostError as error:
            raise AppError("dataset_lost", dataset_id=self.dataset_id) from error
        self._require_room(path, folder)
        lost: list[ArtifactLostError] = []
        fetched: dict[str, str | None] = {}
        encoder = msgspec.json.Encoder()
        total_s = sum(row.duration_s for row in self._rows(path))
        until_s = 0.0
        with (folder / CLIPS).open("wb") as sink:
            for number, row in enumerate(self._rows(path)):
                until_s += row.duration_s
                if number < self.first_row:
                    continue
                check()
                if row.clip not in fetched:
                    fetched[row.clip] = self._fetched(store, folder, row.clip, f"{number:06}", lost)
                clip = ClipToHear(
                    row=number,
                    file_name=row.file_name,
                    clip=row.clip,
                    reference=row.text,
                    file=fetched[row.clip],
                    until_s=round(until_s, 3),
                    total_s=round(total_s, 3),
                )
                sink.write(encoder.encode(clip) + b"\n")
        return lost

    def _rows(self, path: Path) -> "itertools.islice[AudioRow]":
        rows = (row for row in iter_rows(path, RowSchema.AUDIO) if isinstance(row, AudioRow))
        return itertools.islice(rows, self.num_rows)

    def _require_room(self, path: Path, folder: Path) -> None:
        """All clips lie there at once: a disk that cannot hold them is known before the first."""
        sizes = {row.clip: row.bytes for number, row in enumerate(self._rows(path)) if number >= self.first_row}
        needed_bytes = sum(sizes.values()) + _SPARE_BYTES
        if needed_bytes > shutil.disk_usage(folder).free:
            raise AppError("evaluation_no_room", needed_bytes=needed_bytes)

    def _fetched(
        self, store: BlobStore, folder: Path, clip: str, name: str, lost: list[ArtifactLostError]
    ) -> str | None:
        """The name of a clip's file in the folder; None where storage has lost it."""
        blob = self.blobs.get(clip)
        if blob is None:
            return None
        try:
            store.fetch(blob, folder / name)
        except ArtifactLostError as error:
            lost.append(error)
            return None
        return name
