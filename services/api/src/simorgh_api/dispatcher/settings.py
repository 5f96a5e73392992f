"""What the dispatcher is told by its environment."""

from simorgh_shared.settings import BrokerSettings, DatabaseSettings, LeaseSettings, StorageSettings


class DispatcherSettings(DatabaseSettings, BrokerSettings, StorageSettings, LeaseSettings):
    """Settings of `simorgh-dispatcher`."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    duty_s: float = 15.0
    """How long the duty stays with a dispatcher that does not renew it."""
