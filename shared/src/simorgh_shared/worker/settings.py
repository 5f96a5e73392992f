"""What any worker is told by its environment."""

from typing import Annotated

from pydantic import field_validator
from pydantic_settings import NoDecode

from simorgh_shared.settings import (
    BrokerSettings,
    DatabaseSettings,
    LeaseSettings,
    MonitoringSettings,
    Port,
    StorageSettings,
    TariffSettings,
    WorkSettings,
)


class WorkerSettings(
    DatabaseSettings, BrokerSettings, StorageSettings, LeaseSettings, WorkSettings, MonitoringSettings, TariffSettings
):
    """Settings of every program that claims jobs."""

    metrics_host: str = "127.0.0.1"
    """The address that metrics and probes listen on; 0.0.0.0 in containers."""
    metrics_port: Port | None = None
    """Where Prometheus and probes find this process; None serves neither."""
    worker_name: str | None = None
    """Defaults to host and process id."""
    devices: Annotated[list[str] | None, NoDecode] = None
    """GPUs that this worker may use, as CUDA_VISIBLE_DEVICES names them, by commas. None: all that the driver shows."""

    @field_validator("devices", mode="before")
    @classmethod
    def _split(cls, given: object) -> object:
        return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
