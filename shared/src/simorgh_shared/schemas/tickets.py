"""Tickets of streams."""

from datetime import datetime

from pydantic import BaseModel, Field

from simorgh_shared.schemas.envelope import RequestBody


class TicketRequest(RequestBody):
    """A stream to be opened."""

    path: str = Field(
        min_length=1,
        max_length=2_000,
        description="The stream's path with its query: `/api/jobs/job_…/stream`, `/api/train/stream?runId=job_…`.",
    )


class TicketView(BaseModel):
    """The right to open one stream, shown this once."""

    ticket: str
    url: str = Field(description="What to give to `EventSource`: the path with the ticket in its query.")
    first_use_by: datetime
    expires_at: datetime = Field(description="Until then the stream may be opened again.")
