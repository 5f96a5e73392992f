"""What the inference server is told by its environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from simorgh_shared.settings import DatabaseSettings, SimorghSettings, StorageSettings


class ServerSettings(SimorghSettings):
    """Settings of `simorgh-inference` in every mode."""

    inference_host: str = "127.0.0.1"
    inference_port: int = 8100
    internal_key: SecretStr | None = None
    """What the gateway has to show; None lets everyone in who reaches the port."""
    max_waiting: int = Field(64, gt=0)
    """Requests of one model at a time; the next one gets 429."""
    load_timeout_s: float = Field(180.0, gt=0)


class RegistrySettings(DatabaseSettings, StorageSettings):
    """Where models come from when no folder is named."""

    model_config = SettingsConfigDict(env_prefix="SIMORGH_", extra="ignore", frozen=True)

    cache_dir: Path = Path("model-cache")
