"""Keeps feathers, and has their barbs counted."""

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.orm import Session

from simorgh_api.usecases.paging import page
from simorgh_shared.db.models import Feather
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.ids import new_id
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.schemas.feathers import FeatherView, NewFeather

_COLOURS = ("gold", "red")
_KEPT = Counter("simorgh_feathers_total", "Feathers that were kept")


def keep(session: Session, project_id: str, user_id: str, new: NewFeather) -> FeatherView:
    """Keep a feather, and queue the job that counts its barbs.

    Raises: InvalidInputError for a colour that no simorgh has.
    """
    if new.colour not in _COLOURS:
        raise InvalidInputError("feather_colour", colour=new.colour, known=", ".join(_COLOURS))
    spec = {"colour": new.colour}
    job_id = enqueue(session, NewJob(project_id, JobType.COUNT_BARBS, Queue.IO, spec, created_by=user_id))
    row = Feather(id=new_id("feather"), project_id=project_id, colour=new.colour, job_id=job_id)
    session.add(row)
    session.flush()
    session.refresh(row)
    _KEPT.inc()
    return _view(row)


def kept(session: Session, project_id: str, limit: int, cursor: str | None) -> tuple[list[FeatherView], str | None]:
    """The project's feathers, newest first."""
    query = sa.select(Feather).where(Feather.project_id == project_id)
    rows, more = page(session, query, Feather.id, "feather", limit, cursor)
    return [_view(row.Feather) for row in rows], more


def _view(row: Feather) -> FeatherView:
    return FeatherView.model_validate(row, from_attributes=True)
