"""The synthesis job: a text and a voice in, a file of speech out. It starts anew where it is interrupted."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import File, Job, JobEvent
from simorgh_shared.domain.ids import new_id
from simorgh_shared.queue.leases import Lease
from simorgh_shared.speech.voices import ESPEAK_PREFIX
from simorgh_shared.storage.blobs import StoredBlob
from simorgh_voice.jobs.transcribe import model_files
from simorgh_voice.kinds import EnginePlan


def plan(session: Session, lease: Lease) -> EnginePlan:
    """Look up the voice's files, where it has any.

    Raises: NotFoundError when they are gone.
    """
    voice = str(lease.spec["voice"])
    told = sa.select(JobEvent.id).where(JobEvent.job_id == lease.job_id, JobEvent.type == "part").limit(1)
    was_begun = lease.attempt > 1 and session.scalar(told) is not None
    resumed = {"attempt": lease.attempt, "number": 0} if was_begun else None
    if voice.startswith(ESPEAK_PREFIX):
        return EnginePlan(f"synthesize:{voice}", resumed=resumed)
    return EnginePlan(f"synthesize:{voice}", voice, model_files(session, voice), resumed=resumed)


def keep(session: Session, lease: Lease, result: Mapping[str, Any], stored: StoredBlob | None) -> dict[str, Any]:
    """Insert the file."""
    assert stored is not None
    format = str(lease.spec.get("format", "mp3"))
    file = File(
        id=new_id("file"),
        project_id=lease.project_id,
        purpose="speech",
        name=f"speech.{format}",
        sha256=stored.sha256,
        bytes=stored.bytes,
        created_by=session.get_one(Job, lease.job_id).created_by,
    )
    session.add(file)
    told = ("duration_s", "sample_rate", "num_parts", "voice", "characters", "left_out")
    return {
        "file_id": file.id,
        "bytes": stored.bytes,
        "sha256": stored.sha256,
        "format": format,
        **{name: result.get(name) for name in told},
    }
