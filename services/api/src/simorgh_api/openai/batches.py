"""/v1/batches as OpenAI's clients use it (R-CHAT-6): a file of requests becomes a job, and the job files of answers."""

from typing import Annotated

from fastapi import Query

from simorgh_api.deps import DbSession, IdempotencyKey, Notify, Reader, RetryCount, Writer
from simorgh_api.surfaces import openai_router
from simorgh_api.usecases import batches
from simorgh_api.usecases.training import Repeat
from simorgh_shared.queue.channels import NOTIFY_CONTROL, NOTIFY_JOBS
from simorgh_shared.schemas.batches import BatchBody, OpenAIBatch, OpenAIBatchList

router = openai_router("/batches")


@router.post("", operation_id="create_batch")
def create(
    session: DbSession,
    principal: Writer,
    notify: Notify,
    body: BatchBody,
    idempotency_key: IdempotencyKey = None,
    retry_count: RetryCount = 0,
) -> OpenAIBatch:
    """Have the requests of a file answered within a day, behind what people ask meanwhile."""
    made = batches.create(session, principal, body, Repeat(idempotency_key, retry_count > 0))
    notify(NOTIFY_JOBS, batches.QUEUE)
    return made


@router.get("", operation_id="list_batches")
def list_batches(
    session: DbSession,
    principal: Reader,
    after: Annotated[str | None, Query(max_length=80, description="Go on after this batch.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> OpenAIBatchList:
    """The project's batches, newest first."""
    return batches.listed(session, principal.project_id, after, limit)


@router.get("/{batch_id}", operation_id="retrieve_batch")
def retrieve(session: DbSession, principal: Reader, batch_id: str) -> OpenAIBatch:
    """How far a batch is, and where its answers lie once it has ended."""
    return batches.get(session, principal.project_id, batch_id)


@router.post("/{batch_id}/cancel", operation_id="cancel_batch")
def cancel(session: DbSession, principal: Writer, notify: Notify, batch_id: str) -> OpenAIBatch:
    """End a batch. Its answers are dropped, those that were there already too."""
    made = batches.cancel(session, principal.project_id, batch_id)
    notify(NOTIFY_CONTROL, batch_id)
    return made
