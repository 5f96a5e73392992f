"""Datasets and their versions as the API shows them."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simorgh_shared.schemas.envelope import RequestBody
from simorgh_shared.schemas.statistics import StatisticsState

RowSchemaName = Literal["qa", "messages", "text", "preference", "audio"]
SplitName = Literal["train", "test"]


class _View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class SplitView(_View):
    """One file of a version."""

    split: SplitName
    rows: int
    bytes: int
    """Of the rows; clips are counted in the version's."""
    sha256: str
    clips: int | None = None
    """Of an audio set."""
    duration_s: float | None = None
    """Of all its clips."""


class _Content(_View):
    row_schema: RowSchemaName
    columns: dict[str, str]
    """How the file that was sent named each field."""
    rows: int
    bytes: int
    sha256: str
    """Of the file that is kept; with a test split, a hash over both files' hashes."""
    splits: list[SplitView]


class DatasetVersionView(_Content):
    """The content of a dataset at one time. It never changes."""

    id: str
    dataset_id: str
    version: int
    """Counts from 1."""
    created_at: datetime


class DatasetView(_Content):
    """A dataset with one of its versions: the newest, where none was named."""

    id: str
    dataset_id: str
    """The same as `id`."""
    name: str
    version_id: str
    version: int
    """Counts from 1."""
    created_at: datetime


class DatasetDetail(DatasetView):
    """A dataset with how far it is understood."""

    statistics: StatisticsState


class UploadView(DatasetView):
    """What became of an upload."""

    created: bool
    """False where this content was there already: nothing was added."""
    valid: Literal[True] = True
    total_lines: int
    valid_lines: int
    error_count: int
    """Rows that were dropped (`on_error=skip`)."""
    errors: list[str]
    """Where and why, for the first ten of them; those of the test split begin with `test: `."""


class ConvertBody(RequestBody):
    """The kind of rows that is wanted."""

    to: Literal["qa", "messages", "text", "preference", "audio"]
    name: str | None = Field(None, min_length=1, max_length=255)
    """What the new dataset is to be called."""
    version: int | None = Field(None, ge=1, lt=2**31)
    """Which version is converted; else the newest."""
    on_error: Literal["refuse", "skip"] = "refuse"
    """What becomes of rows that cannot be converted."""


class PreviewView(_View):
    """Some rows, as training reads them."""

    samples: list[dict[str, Any]]
    """Fewer than `limit` at the end, and where rows are very long."""
    total: int
    limit: int
    offset: int
    version: int
    """The version that was read."""
