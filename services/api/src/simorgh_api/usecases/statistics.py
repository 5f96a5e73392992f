"""What is known of dataset versions, and how far it is known (R-DATA-5)."""

from typing import Any

from sqlalchemy.orm import Session

from simorgh_api.usecases import datasets
from simorgh_shared.datasets.report.page import Title, page
from simorgh_shared.datasets.report.summary import summary_of
from simorgh_shared.db.models import Dataset, DatasetVersion, Job
from simorgh_shared.db.repositories import datasets as repository
from simorgh_shared.domain.errors import ConflictError
from simorgh_shared.domain.jobs import JobStatus
from simorgh_shared.domain.messages import sentence
from simorgh_shared.schemas.statistics import DatasetStatistics, StatisticsState


def state(session: Session, version: DatasetVersion) -> StatisticsState:
    """How far the statistics of a version are, and their summary once they are there."""
    if version.statistics is not None:
        summary = summary_of(DatasetStatistics.model_validate(version.statistics))
        return _state("ready", version, summary=summary)
    job = session.get(Job, version.statistics_job_id) if version.statistics_job_id is not None else None
    if job is None or job.status == JobStatus.SUCCEEDED:
        return _state("failed", version, error=sentence("statistics_never_made", {}))
    match JobStatus(job.status):
        case JobStatus.RUNNING:
            return _state("running", version, progress=int(job.progress.get("step", 0)) / 100)
        case JobStatus.QUEUED | JobStatus.WAITING:
            return _state("queued", version)
        case JobStatus.FAILED:
            return _state("failed", version, error=str((job.error or {}).get("message")))
        case resting:
            return _state("failed", version, error=sentence("statistics_resting", {"status": resting}))


def full(session: Session, project_id: str, dataset_id: str, version: int | None) -> DatasetStatistics:
    """All that is known of a version.

    Raises: NotFoundError; ConflictError while it is not known.
    """
    return _ready(session, *datasets.get(session, project_id, dataset_id, version))


def report(session: Session, project_id: str, dataset_id: str, version: int | None) -> str:
    """The same as a page of HTML.

    Raises: NotFoundError; ConflictError while it is not known.
    """
    dataset, found = datasets.get(session, project_id, dataset_id, version)
    return page(Title(dataset.name, found.version, found.created_at), _ready(session, dataset, found))


def start_again(
    session: Session, project_id: str, dataset_id: str, version: int | None
) -> tuple[StatisticsState, bool]:
    """Queue the job anew where it failed or was ended; else nothing changes. How far it is, and whether it was queued.

    Raises: NotFoundError.
    """
    dataset, found = datasets.get(session, project_id, dataset_id, version)
    session.refresh(found, with_for_update={"key_share": True})  # two who ask at once get one job
    now = state(session, found)
    if now.status != "failed":
        return now, False
    repository.queue_statistics(session, dataset, found)
    return state(session, found), True


def _ready(session: Session, dataset: Dataset, version: DatasetVersion) -> DatasetStatistics:
    if version.statistics is not None:
        return DatasetStatistics.model_validate(version.statistics)
    now = state(session, version)
    code = "statistics_failed" if now.status == "failed" else "statistics_wait"
    hint = sentence(code, {"reason": now.error, "dataset_id": dataset.id})
    raise ConflictError("statistics_not_ready", dataset_id=dataset.id, status=now.status, hint=hint)


def _state(status: str, version: DatasetVersion, **more: Any) -> StatisticsState:
    known = {"status": status, "job_id": version.statistics_job_id, "progress": None, "error": None, "summary": None}
    return StatisticsState.model_validate(known | more)
