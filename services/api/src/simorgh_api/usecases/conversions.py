"""Queues the job that makes a dataset of another kind of rows (R-DATA-2)."""

from sqlalchemy.orm import Session

from simorgh_api.usecases import datasets
from simorgh_api.usecases.principals import Principal
from simorgh_shared.datasets.convert import CONVERSIONS, targets_of
from simorgh_shared.datasets.rows import RowSchema
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.schemas.datasets import ConvertBody


def queue(session: Session, principal: Principal, dataset_id: str, wanted: ConvertBody) -> str:
    """The id of the job.

    Raises: NotFoundError; InvalidInputError for a pair that there is not, with those that there are; LimitedError.
    """
    project_id = principal.project_id
    dataset, version = datasets.get(session, project_id, dataset_id, wanted.version)
    source, target = RowSchema(version.row_schema), RowSchema(wanted.to)
    if (source, target) not in CONVERSIONS:
        possible = ", ".join(targets_of(source)) or "nothing else"
        raise InvalidInputError("conversion_unknown", found=source.value, to=target.value, possible=possible)
    spec = {
        "dataset_id": dataset.id,
        "dataset_version_id": version.id,
        "to": target.value,
        "name": wanted.name,
        "on_error": wanted.on_error,
    }
    name = f"{dataset.name} to {target.value}"
    return enqueue(
        session, NewJob(project_id, JobType.CONVERT, Queue.IO, spec, created_by=principal.user_id, name=name)
    )
