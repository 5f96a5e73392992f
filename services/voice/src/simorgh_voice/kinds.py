"""What the attempt asks of each kind of speech job."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.orm import Session

from simorgh_shared.queue.leases import Lease
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob
from simorgh_shared.storage.manifests import Entry
from simorgh_voice.engine.protocol import ResumeState


@dataclass(frozen=True)
class EnginePlan:
    """What an engine needs for one attempt."""

    model_key: str
    model_version_id: str | None = None
    """None for a voice that needs no files."""
    model_files: Sequence[Entry] = ()
    input: Entry | None = None
    resume: ResumeState | None = None
    resumed: Mapping[str, Any] | None = field(default=None)
    """The payload of the `resumed` event, where an earlier attempt left something."""
    inputs: "InputFolder | None" = None
    """In place of one file."""


class InputFolder(Protocol):
    """Files that an engine goes through."""

    def fill(self, folder: Path, store: BlobStore, check: Callable[[], None]) -> Sequence[ArtifactLostError]:
        """Put them into an empty folder; what storage has lost is left out, and told.

        `check` is called between files, and raises where the attempt is to end.
        Raises: AppError where the work cannot be done without what is lost.
        """


class EngineKind(Protocol):
    """A kind of job that an engine does."""

    def plan(self, session: Session, lease: Lease) -> EnginePlan:
        """What the engine needs.

        Raises: AppError when something of it is gone.
        """

    def keep(
        self, session: Session, lease: Lease, result: Mapping[str, Any], stored: StoredBlob | None
    ) -> dict[str, Any]:
        """Insert the rows of what was made, in the transaction that ends the job; returns the job's result.

        `result` is the engine's last line, `stored` the file that it names, if it names one.
        """
