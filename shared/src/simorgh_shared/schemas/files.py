"""Files in OpenAI's shape (R-API-2)."""

from typing import Literal

from pydantic import BaseModel

SentPurpose = Literal["batch", "fine-tune", "user_data"]
Purpose = Literal["batch", "batch_output", "fine-tune", "user_data"]


class OpenAIFile(BaseModel):
    """A file that was sent, or that a batch made."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose
    status: Literal["processed"] = "processed"


class OpenAIFileList(BaseModel):
    """A part of the files. `last_id` goes on as `after`."""

    object: Literal["list"] = "list"
    data: list[OpenAIFile]
    first_id: str | None
    last_id: str | None
    has_more: bool


class OpenAIFileDeleted(BaseModel):
    """A file that is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True
