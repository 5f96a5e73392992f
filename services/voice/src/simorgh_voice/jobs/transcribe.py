"""The transcription job: audio and a model in, a transcript out; it goes on behind the last finished group."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from simorgh_shared.db.models import JobEvent, ModelVersion, Transcript
from simorgh_shared.domain.errors import NotFoundError
from simorgh_shared.queue.leases import Lease
from simorgh_shared.speech.transcript import join_texts, segments_of, to_builtins
from simorgh_shared.storage import blobs, manifests
from simorgh_shared.storage.blobs import StoredBlob
from simorgh_shared.storage.manifests import Entry
from simorgh_voice.engine.protocol import ResumeState
from simorgh_voice.kinds import EnginePlan

_SAMPLE_RATE = 16_000


def plan(session: Session, lease: Lease) -> EnginePlan:
    """Look up the model, the audio, and how far an earlier attempt came.

    Raises: NotFoundError when model or audio are gone.
    """
    spec = lease.spec
    version_id = str(spec["model_version_id"])
    files = model_files(session, version_id)
    audio = blobs.touch(session, spec["sha256"])
    if audio is None:
        raise NotFoundError("audio_gone", name=str(spec.get("name", "")))
    groups = _groups(session, lease.job_id)
    resume = _resume(groups[-1]) if groups else None
    resumed = None
    if resume is not None:
        from_s = round(resume["offset_samples"] / _SAMPLE_RATE, 3)
        resumed = {"attempt": lease.attempt, "from_s": from_s, "number": resume["number"]}
    return EnginePlan(f"transcribe:{version_id}", version_id, files, Entry("audio", audio), resume, resumed)


def keep(session: Session, lease: Lease, result: Mapping[str, Any], stored: StoredBlob | None) -> dict[str, Any]:
    """Insert the transcript, which is what the groups of all attempts say."""
    del stored
    segments = segments_of(_groups(session, lease.job_id))
    language = result.get("language")
    text = join_texts((segment.text for segment in segments), language or "")
    session.add(
        Transcript(
            job_id=lease.job_id,
            project_id=lease.project_id,
            model_version_id=lease.spec["model_version_id"],
            task=lease.spec.get("task", "transcribe"),
            language=language,
            language_probability=result.get("language_probability"),
            duration_s=result["duration_s"],
            text=text,
            segments=to_builtins(segments),
        )
    )
    told = ("language", "language_probability", "duration_s", "speech_s")
    return {name: result.get(name) for name in told} | {"num_segments": len(segments)}


def model_files(session: Session, version_id: str) -> list[Entry]:
    """The files of a model version.

    Raises: NotFoundError when it is gone.
    """
    version = session.get(ModelVersion, version_id)
    files = manifests.entries(session, version.manifest_id) if version is not None else []
    if not files:
        raise NotFoundError("model_not_found", model=version_id)
    return files


def _groups(session: Session, job_id: str) -> Sequence[dict[str, Any]]:
    found = sa.select(JobEvent.payload).where(JobEvent.job_id == job_id, JobEvent.type == "transcribed")
    return session.scalars(found.order_by(JobEvent.seq)).all()


def _resume(last: Mapping[str, Any]) -> ResumeState:
    return {
        "offset_samples": int(last["next_offset_samples"]),
        "number": int(last["number"]) + 1,
        "language": last.get("language"),
        "language_probability": last.get("language_probability"),
        "speech_s": float(last.get("speech_s", 0.0)),
    }
