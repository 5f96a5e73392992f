"""A run that starts from a checkpoint: which model that means, and whether anything is left to train."""

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session, sessionmaker

from simorgh_shared.db.models import Checkpoint, Job
from simorgh_shared.domain.errors import InvalidInputError, NotFoundError
from simorgh_shared.schemas.runs import StartBody
from simorgh_shared.schemas.training import TrainSpec


def spec_of(sessions: sessionmaker[Session], project_id: str, body: StartBody) -> TrainSpec:
    """The parameters of a run. With a checkpoint and no model named, the model is the checkpoint's.

    Raises: NotFoundError for a checkpoint that there is not; InvalidInputError for another model than the
    checkpoint's, and for a run that would end where the checkpoint stands.
    """
    if body.init_checkpoint_id is None:
        return body.spec
    with sessions() as session:
        found = session.execute(
            sa.select(Checkpoint.step, Job.spec["model"].astext.label("model"))
            .join(Job, Job.id == Checkpoint.job_id)
            .where(Checkpoint.id == body.init_checkpoint_id, Job.project_id == project_id)
        ).one_or_none()
    if found is None:
        raise NotFoundError("checkpoint_not_found", checkpoint_id=body.init_checkpoint_id)
    if body.names_model and body.model != found.model:
        raise InvalidInputError("checkpoint_mismatch", theirs=found.model, ours=body.model)
    if body.max_steps is not None and body.max_steps <= found.step:
        raise InvalidInputError("nothing_left", step=found.step)
    try:
        return body.spec_with_model(found.model)
    except ValidationError as error:  # what fits the default model need not fit this one
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise InvalidInputError("invalid_body", where="the parameters", reason=reason) from error
