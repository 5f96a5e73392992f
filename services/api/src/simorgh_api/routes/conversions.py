"""Datasets of another kind of rows, made by a job (R-DATA-2)."""

from simorgh_api.deps import DbSession, Notify, Writer
from simorgh_api.surfaces import native_router
from simorgh_api.usecases import conversions, jobs
from simorgh_shared.domain.jobs import Queue
from simorgh_shared.queue.channels import NOTIFY_JOBS
from simorgh_shared.schemas.datasets import ConvertBody
from simorgh_shared.schemas.envelope import Answer
from simorgh_shared.schemas.jobs import JobView

router = native_router("/datasets", "datasets")


@router.post("/{dataset_id}/convert", operation_id="convert_dataset", status_code=202)
def convert(
    session: DbSession, principal: Writer, notify: Notify, dataset_id: str, body: ConvertBody
) -> Answer[JobView]:
    """Make a new dataset with the same splits and rows of another kind; a job does it.

    `qa` becomes `messages` or `text`; `messages` become `text`, or `qa` by turns (each answer of the assistant's with
    the user's turn before it); `preference` becomes `qa` or `messages` with the chosen answer.
    """
    job_id = conversions.queue(session, principal, dataset_id, body)
    notify(NOTIFY_JOBS, Queue.IO)
    return Answer(data=jobs.job(session, principal.project_id, job_id))
