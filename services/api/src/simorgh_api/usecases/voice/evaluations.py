"""Compares models by what they hear in an audio set: queues it, and finds its report (R-VOICE-5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from simorgh_api.usecases import datasets, jobs
from simorgh_api.usecases.principals import Principal
from simorgh_api.usecases.voice.asking import Bounds, Queued, queue_for_voice, temperatures_from
from simorgh_api.usecases.voice.ears import Ears, all_ears, code_of, ears
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.db.models import Blob, Dataset, DatasetVersion, File, Job
from simorgh_shared.domain.errors import ConflictError, InvalidInputError, NotFoundError, TooLargeError
from simorgh_shared.domain.jobs import JobStatus, JobType, Lane
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.schemas.evaluation import (
    MAX_MODELS,
    MAX_ROWS,
    EvaluationBody,
    EvaluationPart,
    EvaluationView,
    SpeechEvaluation,
)
from simorgh_shared.schemas.jobs import JobView
from simorgh_shared.storage.blobs import ArtifactLostError, BlobStore, StoredBlob, mark_lost


@dataclass(frozen=True)
class Found:
    """An evaluation as the database has it."""

    job: JobView
    parts: list[EvaluationPart]
    report: StoredBlob | None
    samples: StoredBlob | None
    """Of the report all samples, a line each."""


def queue(session: Session, who: Principal, wanted: EvaluationBody, bounds: Bounds) -> Queued:
    """Queue an evaluation.

    Raises: NotFoundError, InvalidInputError, TooLargeError; UnavailableError without a worker; LimitedError.
    """
    dataset, version = datasets.get(session, who.project_id, wanted.dataset_id, wanted.version)
    if version.row_schema != RowSchema.AUDIO:
        raise InvalidInputError("evaluation_kind", dataset_id=_called(dataset), found=version.row_schema)
    split, num_rows = _rows(dataset, version, wanted)
    language = code_of(wanted.language)
    models = _models(session, who.project_id, wanted.models, language)
    queue = queue_for_voice(session)
    name = f"{dataset.name}: {', '.join(one.name for one in models)}"
    spec: dict[str, Any] = {
        "name": name,
        "dataset_id": dataset.id,
        "dataset_name": dataset.name,
        "dataset_version_id": version.id,
        "version": version.version,
        "split": split,
        "num_rows": num_rows,
        "models": [{"model_version_id": one.version_id, "name": one.name} for one in models],
        "language": language,
        "task": "transcribe",
        "temperature": temperatures_from(0.0),
        "max_audio_s": bounds.max_audio_s,
    }
    new = NewJob(
        who.project_id, JobType.EVALUATE_SPEECH, queue, spec, created_by=who.user_id, name=name, lane=Lane.LONG
    )
    return Queued(enqueue(session, new), queue, Lane.LONG)


def find(sessions: sessionmaker[Session], project_id: str, job_id: str) -> Found:
    """Look an evaluation up.

    Raises: NotFoundError.
    """
    with sessions() as session:
        job = jobs.job(session, project_id, job_id, JobType.EVALUATE_SPEECH)
        result = job.result or {}
        blobs = {name: _blob(session, project_id, result.get(f"{name}_file_id")) for name in ("report", "samples")}
        return Found(job, _parts(session, job), blobs["report"], blobs["samples"])


def view(sessions: sessionmaker[Session], store: BlobStore, found: Found) -> EvaluationView:
    """An evaluation with its report where there is one.

    Raises: NotFoundError where the report is damaged; UnavailableError when storage is silent.
    """
    report = None if found.report is None else _report(sessions, store, found)
    is_complete = JobStatus(found.job.status).is_terminal
    return EvaluationView(job=found.job, is_complete=is_complete, models=found.parts, report=report)


def require_report(sessions: sessionmaker[Session], store: BlobStore, found: Found) -> SpeechEvaluation:
    """The report.

    Raises: ConflictError before it is there; as `view`.
    """
    _require_success(found)
    return _report(sessions, store, found)


def samples(sessions: sessionmaker[Session], store: BlobStore, found: Found) -> tuple[int, Iterator[bytes]]:
    """The size of the file of all samples and its bytes; the first have come, so that the answer can be an error.

    Raises: as `require_report`.
    """
    _require_success(found)
    blob = _require(found, found.samples)
    chunks = store.read(blob)
    try:
        first = next(chunks, b"")
    except ArtifactLostError as error:
        raise _gone(sessions, found, error) from error
    return blob.bytes, _chained(first, chunks)


def _rows(dataset: Dataset, version: DatasetVersion, wanted: EvaluationBody) -> tuple[str, int]:
    """The split that is heard, and how many of its rows."""
    dataset_id = _called(dataset)
    known = {split["split"]: int(split["rows"]) for split in version.splits}
    split = wanted.split or ("test" if "test" in known else "train")
    if split not in known:
        raise InvalidInputError(
            "evaluation_no_split", dataset_id=dataset_id, split=split, known=", ".join(known) or "none"
        )
    num_rows = min(known[split], wanted.limit or known[split])
    if num_rows > MAX_ROWS:
        raise TooLargeError("evaluation_rows", split=split, dataset_id=dataset_id, rows=num_rows, limit=MAX_ROWS)
    return split, num_rows


def _called(dataset: Dataset) -> str:
    """By its name and its id: somebody gave one of them."""
    return f"{dataset.name} ({dataset.id})"


def _models(session: Session, project_id: str, names: Sequence[str] | None, language: str | None) -> list[Ears]:
    if names is None:
        found = all_ears(session, project_id, language)
        if len(found) > MAX_MODELS:
            raise InvalidInputError("evaluation_models", num=len(found), limit=MAX_MODELS)
        return found
    named = [ears(session, project_id, name, language, "transcribe") for name in names]
    return list({one.version_id: one for one in named}.values())


def _parts(session: Session, job: JobView) -> list[EvaluationPart]:
    """The models in the order in which they were named; before they have jobs there are none."""
    rows = session.scalars(sa.select(Job).where(Job.parent_id == job.id))
    made = {row.spec["model_version_id"]: row for row in rows}
    return [
        EvaluationPart(
            job_id=row.id,
            model_version_id=model["model_version_id"],
            name=model["name"],
            status=row.status,
            progress=row.progress,
            error=row.error,
        )
        for model in job.spec["models"]
        if (row := made.get(model["model_version_id"])) is not None
    ]


def _blob(session: Session, project_id: str, file_id: str | None) -> StoredBlob | None:
    row = session.execute(
        sa.select(Blob.sha256, Blob.bytes, Blob.key)
        .join(File, File.sha256 == Blob.sha256)
        .where(File.id == file_id, File.project_id == project_id, File.deleted_at.is_(None))
    ).one_or_none()
    return None if row is None else StoredBlob(row.sha256, row.bytes, row.key)


def _report(sessions: sessionmaker[Session], store: BlobStore, found: Found) -> SpeechEvaluation:
    try:
        return SpeechEvaluation.model_validate_json(b"".join(store.read(_require(found, found.report))))
    except ArtifactLostError as error:
        raise _gone(sessions, found, error) from error


def _require_success(found: Found) -> None:
    if found.job.status == JobStatus.SUCCEEDED:
        return
    if found.job.error is not None:
        raise ConflictError("evaluation_failed", reason=str(found.job.error["params"].get("reason", "")))
    raise ConflictError("evaluation_not_ready", job_id=found.job.id, status=found.job.status)


def _require(found: Found, blob: StoredBlob | None) -> StoredBlob:
    if blob is None:
        raise NotFoundError("evaluation_gone", job_id=found.job.id)
    return blob


def _gone(sessions: sessionmaker[Session], found: Found, lost: ArtifactLostError) -> NotFoundError:
    if lost.sha256 is not None:
        with sessions.begin() as session:
            mark_lost(session, lost.sha256)
    return NotFoundError("evaluation_gone", job_id=found.job.id)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
