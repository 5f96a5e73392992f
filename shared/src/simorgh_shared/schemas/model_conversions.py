"""What is asked of a model's conversion."""

from typing import Literal

from pydantic import Field

from simorgh_shared.schemas.envelope import RequestBody


class ConvertModelBody(RequestBody):
    """Another form of a model."""

    to: Literal["ctranslate2"] = "ctranslate2"
    """What runs Whisper here."""
    quantisation: Literal["int8", "float16", "float32"] = "int8"
    """How the weights are kept. On a CPU int8 takes a quarter of the memory; float16 is for GPUs."""
    name: str | None = Field(None, min_length=1, max_length=255)
    """What the new model is to be called; else the model's name and the quantisation."""
