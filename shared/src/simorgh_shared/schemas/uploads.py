"""Uploads straight to storage as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from simorgh_shared.schemas.datasets import RowSchemaName
from simorgh_shared.schemas.envelope import RequestBody

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MOST_PARTS_SIGNED = 100


class BeginUpload(RequestBody):
    """A file that is to be sent straight to storage, and what is to become of it."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    filename: str = Field(min_length=1, max_length=255)
    """Its suffix tells what it is."""
    bytes: int = Field(ge=1)
    part_bytes: int | None = Field(None, ge=5 << 20, le=5 << 30)
    """The size of each part but the last; else the server chooses."""
    sha256: Sha256 | None = None
    """Of the whole file; it is compared when the file has come."""
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,200}$")] | None = None
    """Anything by which you know the file again: the same one begun twice goes on where it was."""
    name: str | None = Field(None, min_length=1, max_length=255)
    """The dataset's name; else the file's."""
    dataset_id: str | None = Field(None, min_length=1, max_length=100)
    """Make this the next version of a dataset."""
    row_schema: Literal["auto"] | RowSchemaName = "auto"
    columns: dict[str, str] = Field(default_factory=dict)
    """Our fields and the file's, such as {"question": "prompt"}."""
    on_error: Literal["refuse", "skip"] = "refuse"


class SignParts(RequestBody):
    """Parts for which addresses are wanted."""

    numbers: list[int] = Field(min_length=1, max_length=MOST_PARTS_SIGNED)


class CompleteUpload(RequestBody):
    """Everything was sent."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    sha256: Sha256 | None = None
    """Of the whole file; it is compared by the job."""
    test_upload_id: str | None = Field(None, min_length=1, max_length=100)
    """Another upload, all sent, whose rows are held out."""
    test_sha256: Sha256 | None = None
    """Of that file."""


class _View(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class PartUrl(_View):
    """Where a part is to be sent: `PUT` exactly so many bytes, without further headers."""

    number: int
    bytes: int
    url: str


class StoredPart(_View):
    """A part that the storage has."""

    number: int
    bytes: int


class DirectUploadView(_View):
    """An upload straight to storage."""

    id: str
    filename: str
    bytes: int
    part_bytes: int
    num_parts: int
    status: Literal["open", "completed", "aborted"]
    job_id: str | None
    """The job that takes the file in."""
    created_at: datetime


class OpenUploadView(DirectUploadView):
    """An upload with the parts that came and those that are missing."""

    stored: list[StoredPart]
    missing: list[int]
    """Numbers of the parts that did not come, or came with another size."""
    urls: list[PartUrl]
    """Addresses for the first of the missing ones; more with POST /api/datasets/uploads/ID/parts."""
    urls_expire_at: datetime | None


class PartUrls(_View):
    """Signed addresses."""

    urls: list[PartUrl]
    urls_expire_at: datetime
