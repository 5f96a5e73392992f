"""What the inference server is told by its environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from simorgh_shared.settings import (
    DatabaseSettings,
    DrainSettings,
    MonitoringSettings,
    Port,
    SimorghSettings,
    StorageSettings,
)


class EngineSettings(SimorghSettings):
    """How models are served."""

    engine: Literal["auto", "transformers", "openvino"] = "auto"
    """`auto` takes OpenVINO for what it can convert, and transformers meanwhile and for the rest."""
    precision: Literal["f32", "bf16", "int8"] = "bf16"
    """Of the OpenVINO engine, and of a GPU (bf16 for int8); else transformers computes in f32. Only f32 says what
    transformers says, token by token."""
    inference_device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where torch can use one, and serves by transformers there."""
    kv_cache_bytes: int = Field(1 << 30, gt=0)
    """For the keys and values of all requests of a model: those that do not fit wait."""
    models_memory_bytes: int | None = Field(None, gt=0)
    """For all loaded models together; None is three quarters of the machine's memory."""
    cache_trim_every_s: float = Field(3_600.0, gt=0)
    """How often the cache is looked through for what goes."""
    cache_unused_s: float = Field(30 * 86_400.0, gt=0)
    """The folder and the conversions of a version that was not loaded for so long go; storage has the files."""
    conversion_timeout_s: float = Field(1800.0, gt=0)
    """A conversion to OpenVINO's form that takes longer is given up, and transformers serves the model."""


class ServerSettings(EngineSettings, DrainSettings):
    """Settings of `simorgh-inference` in every mode."""

    inference_host: str = "127.0.0.1"
    """The address that the server listens on; 0.0.0.0 in containers."""
    inference_port: Port = 8100
    """The port that it listens on."""
    internal_key: SecretStr | None = None
    """What the gateway has to show; None lets everyone in who reaches the port."""
    max_waiting: int = Field(64, gt=0)
    """Requests of one model at a time; the next one gets 429."""
    first_token_s: float | None = Field(None, gt=0)
    """Take only as many at a time as get their first token within this time (at most `max_waiting`); None takes those
    whatever they wait."""
    load_timeout_s: float = Field(180.0, gt=0)
    """A model that is not loaded after so long is given up."""
    room_timeout_s: float = Field(60.0, ge=0)
    """A model that others in use leave no memory for waits so long until they have answered; then it is 503."""
    request_timeout_s: float = Field(540.0, gt=0)
    """From a request to the end of its answer, waiting and loading included. The gateway gives up after 600 s."""
    stall_timeout_s: float = Field(120.0, gt=0)
    """An engine that says nothing for so long while requests wait is ended, and the next request starts another."""


class RegistrySettings(DatabaseSettings, StorageSettings, MonitoringSettings):
    """Where models come from when no folder is named."""

    model_config = SettingsConfigDict(env_prefix="SIMORGH_", extra="ignore", frozen=True)

    cache_dir: Path = Path("model-cache")
    """Folders of the registry's models, and their conversions."""
