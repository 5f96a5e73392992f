"""Models of the registry as the API shows them, on the native surface and in OpenAI's shapes."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from simorgh_shared.schemas.envelope import Page


class VersionView(BaseModel):
    """One version of a model: a folder that never changes."""

    version_id: str
    version: int
    kind: str
    format: str
    bytes: int
    num_parameters: int | None
    job_id: str | None
    metrics: dict[str, Any]
    lineage: dict[str, Any]
    traits: dict[str, Any]
    """What it can be used for: `architecture`; of speech models `can` (`transcription`, `translation`, `speech`,
    `conversion`) and `languages`, none of which means all that its kind has."""
    created_at: datetime


class ModelView(BaseModel):
    """A model with its versions, the newest first."""

    id: str
    name: str
    created_at: datetime
    versions: list[VersionView]


class FileView(BaseModel):
    """A file of a model."""

    path: str
    bytes: int
    sha256: str


class UploadedModelView(VersionView):
    """A version that was sent, and the model that it belongs to."""

    id: str
    """The model's, as `model_id`."""
    model_id: str
    name: str
    created: bool
    """False where the same files under the same name were there before."""
    files: list[FileView]
    left_out: list[str]
    """Files that are no part of a model, such as .gitattributes, and were not kept."""


class EngineView(BaseModel):
    """What serves a loaded model."""

    engine: str
    engine_reason: str
    """Why by this one."""
    precision: str
    device: str
    context_tokens: int


class DetectedView(VersionView):
    """A version, and where it really lies."""

    model_id: str
    name: str
    storage: Literal["present", "missing"]
    """`missing`: at least one of its objects is not in storage, or not whole."""
    cached: bool | None
    """Whether its folder lies in the inference server's cache; null when that server does not answer."""
    loaded: bool | None
    """Whether an engine holds it now; null when the inference server does not answer."""
    engine: EngineView | None
    """That engine; null where it is not loaded, or that is not known."""


class DetectedPage(Page[DetectedView]):
    """A part of what was found."""

    inference_error: str | None = None
    """Why `cached` and `loaded` are null."""


class ServedView(BaseModel):
    """What the inference server has of a model: a member of ours in OpenAI's shape."""

    version_id: str
    """The version that answers."""
    loaded: bool | None
    """Whether an engine holds it now; null when the inference server does not answer."""
    engine: str | None = None
    engine_reason: str | None = None
    precision: str | None = None
    device: str | None = None
    context_tokens: int | None = None


class OpenAIModel(BaseModel):
    """A model that can be asked, in OpenAI's shape."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["simorgh"] = "simorgh"
    simorgh: ServedView


class OpenAIModelList(BaseModel):
    """Models that can be asked, in OpenAI's shape."""

    object: Literal["list"] = "list"
    data: list[OpenAIModel]
