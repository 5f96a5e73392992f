"""What the dispatcher is told by its environment."""

from pydantic import Field

from simorgh_shared.settings import BrokerSettings, DatabaseSettings, LeaseSettings, StorageSettings


class DispatcherSettings(DatabaseSettings, BrokerSettings, StorageSettings, LeaseSettings):
    """Settings of `simorgh-dispatcher`."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = None
    duty_s: float = 15.0
    """How long the duty stays with a dispatcher that does not renew it."""
    upload_unfinished_days: float = Field(7.0, gt=0)
    """An upload that nobody touched for so long is dropped, with the parts that came."""
    upload_clear_every_s: float = Field(60.0, gt=0)
    """How often what is left of uploads is dropped."""
