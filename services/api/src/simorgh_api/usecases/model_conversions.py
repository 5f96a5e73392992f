"""Queues the job that makes a CTranslate2 Whisper from one of transformers (R-VOICE-6)."""

from sqlalchemy.orm import Session

from simorgh_api.usecases import models
from simorgh_api.usecases.model_uploads import model_name
from simorgh_api.usecases.principals import Principal
from simorgh_shared.db.models import Model, ModelVersion
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.domain.jobs import JobType, Queue
from simorgh_shared.queue.submit import NewJob, enqueue
from simorgh_shared.schemas.model_conversions import ConvertModelBody

QUEUE = Queue.VOICE_CPU


def queue(session: Session, principal: Principal, model: str, wanted: ConvertModelBody) -> str:
    """The id of the job.

    Raises: NotFoundError; InvalidInputError for a model that cannot be converted, or a name that is none; LimitedError.
    """
    version = session.get_one(ModelVersion, models.resolve(session, principal.project_id, model))
    if "conversion" not in version.traits.get("can", ()):
        raise InvalidInputError("model_not_convertible", reason=_reason(version))
    name = session.get_one(Model, version.model_id).name
    spec = {
        "base_version_id": version.id,
        "to": wanted.to,
        "quantisation": wanted.quantisation,
        "name": model_name(wanted.name or f"{name}-{wanted.quantisation}"),
    }
    job = NewJob(
        principal.project_id,
        JobType.CONVERT_MODEL,
        QUEUE,
        spec,
        created_by=principal.user_id,
        name=f"{name} to {wanted.to} {wanted.quantisation}",
    )
    return enqueue(session, job)


def _reason(version: ModelVersion) -> str:
    architecture = version.traits.get("architecture")
    if architecture == "whisper":
        return "it is a Whisper in CTranslate2's format already"
    return f"it is a model of kind {version.kind} and architecture {architecture or 'unknown'}, and no Whisper"
