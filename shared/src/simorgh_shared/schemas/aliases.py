"""Aliases of a model: names that point at one version, and what they pointed at before (R-MODEL-2)."""

from datetime import datetime

from pydantic import BaseModel, Field

from simorgh_shared.schemas.envelope import RequestBody


class AliasBody(RequestBody):
    """Where an alias is to point."""

    version_id: str = Field(min_length=1, max_length=100)
    """A version of the model, or one that was made from a version of it."""


class AliasView(BaseModel):
    """Where an alias points."""

    model_id: str
    name: str
    """Asked for as `model@name`."""
    model_version_id: str
    former_version_id: str | None
    """Where a rollback goes to."""
    updated_at: datetime
