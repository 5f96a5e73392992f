"""What a trainer worker is told by its environment."""

from simorgh_shared.settings import (
    BrokerSettings,
    DatabaseSettings,
    LeaseSettings,
    StorageSettings,
    WorkSettings,
)


class TrainerSettings(DatabaseSettings, BrokerSettings, StorageSettings, LeaseSettings, WorkSettings):
    """Settings of `simorgh-trainer-worker`."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    """Where Prometheus reads this worker; None serves no metrics."""
    worker_name: str | None = None
    """Defaults to host and process id."""
