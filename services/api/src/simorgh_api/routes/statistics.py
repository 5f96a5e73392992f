"""What is known of datasets: their statistics, and the page that shows them (R-DATA-5, R-DATA-6)."""

from fastapi.responses import HTMLResponse

from simorgh_api import pages
from simorgh_api.deps import DbSession, Notify, Reader, Writer
from simorgh_api.routes.datasets import VersionNumber
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import statistics
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.statistics import DatasetStatistics, StatisticsState

router = native_router("/datasets", "datasets")


@router.get("/{dataset_id}/statistics", operation_id="get_dataset_statistics")
def get_statistics(
    session: DbSession, principal: Reader, dataset_id: str, version: VersionNumber = None
) -> Answer[DatasetStatistics]:
    """All that is known of a dataset's version. 409 until a job has found it out; it begins with the upload."""
    return Answer(data=statistics.full(session, principal.project_id, dataset_id, version))


@router.post("/{dataset_id}/statistics", operation_id="start_dataset_statistics", status_code=202)
def start_statistics(
    session: DbSession, principal: Writer, notify: Notify, dataset_id: str, version: VersionNumber = None
) -> Answer[StatisticsState]:
    """Make the statistics again where that failed. Where they are ready or on their way, nothing is changed."""
    state, is_queued = statistics.start_again(session, principal.project_id, dataset_id, version)
    if is_queued:
        notify(NOTIFY_JOBS, Queue.IO)
    return Answer(data=state)


@router.get(
    "/{dataset_id}/report",
    operation_id="get_dataset_report",
    response_class=HTMLResponse,
    responses={200: {"description": "A page that stands by itself: no script, nothing from elsewhere."}},
)
def get_report(session: DbSession, principal: Reader, dataset_id: str, version: VersionNumber = None) -> HTMLResponse:
    """The statistics as one page for people. 409 until they are ready."""
    return HTMLResponse(statistics.report(session, principal.project_id, dataset_id, version), headers=pages.HEADERS)
