"""Batches in OpenAI's shape (R-CHAT-6)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
Metadata = dict[MetadataKey, Annotated[str, Field(max_length=512)]]
BatchStatus = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]


class BatchBody(BaseModel):
    """What is to be asked, and of whom: each line of the file names its model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_file_id: str = Field(min_length=1, max_length=80)
    """A file of purpose `batch`."""
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Metadata | None = Field(None, max_length=16)


class BatchCounts(BaseModel):
    """Requests of a batch."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class BatchError(BaseModel):
    """Why a line of the input, or all of it, cannot be used."""

    code: str
    line: int | None = None
    message: str
    param: str | None = None


class BatchErrors(BaseModel):
    """The first of them."""

    object: Literal["list"] = "list"
    data: list[BatchError]


class OpenAIBatch(BaseModel):
    """A batch: a view of its job, which has the same id."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    input_file_id: str
    completion_window: str
    status: BatchStatus
    errors: BatchErrors | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expires_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: BatchCounts
    metadata: dict[str, Any] | None = None


class OpenAIBatchList(BaseModel):
    """A part of the batches. `last_id` goes on as `after`."""

    object: Literal["list"] = "list"
    data: list[OpenAIBatch]
    first_id: str | None
    last_id: str | None
    has_more: bool
