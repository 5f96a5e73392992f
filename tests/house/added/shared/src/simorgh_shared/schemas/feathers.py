"""Feathers: what the example of docs/recipes.md adds."""

from datetime import datetime

from pydantic import BaseModel, Field

from simorgh_shared.schemas.envelope import RequestBody


class NewFeather(RequestBody):
    """A feather to be kept."""

    colour: str = Field(max_length=40, description="Its colour.")


class FeatherView(BaseModel):
    """A feather."""

    id: str
    colour: str
    job_id: str = Field(description="The job that counts its barbs.")
    created_at: datetime
