"""What the dispatcher is told by its environment."""

from pydantic import Field

from simorgh_api.dispatcher.retention import Rules
from simorgh_shared.settings import (
    BrokerSettings,
    DatabaseSettings,
    LeaseSettings,
    MonitoringSettings,
    Port,
    StorageSettings,
)


class DispatcherSettings(DatabaseSettings, BrokerSettings, StorageSettings, LeaseSettings, MonitoringSettings):
    """Settings of `simorgh-dispatcher`."""

    metrics_host: str = "127.0.0.1"
    """The address that metrics and probes listen on; 0.0.0.0 in containers."""
    metrics_port: Port | None = None
    """Where Prometheus and probes find this process; None serves neither."""
    duty_s: float = 15.0
    """How long the duty stays with a dispatcher that does not renew it."""
    collect_every_s: float = Field(600.0, gt=0)
    """How often what is kept no longer goes, and blobs that nothing names."""
    checkpoints_kept: int = Field(3, ge=1)
    """Of a run that has ended or rests, where its project says nothing else."""
    ended_run_grace_s: float = Field(86_400.0, ge=0)
    """A run that has ended keeps all its checkpoints for so long."""
    deleted_grace_s: float = Field(86_400.0, ge=0)
    """A deleted model or dataset keeps its files for so long."""
    audit_retention_days: int | None = Field(365, ge=30)
    """Audit lines stay for so long; None keeps them for ever."""
    voice_audio_kept_s: float = Field(7 * 86_400.0, ge=0)
    """Audio of voice jobs, what came and what was made, stays for so long; transcripts stay with their jobs."""
    upload_unfinished_days: float = Field(7.0, gt=0)
    """An upload that nobody touched for so long is dropped, with the parts that came."""
    upload_clear_every_s: float = Field(60.0, gt=0)
    """How often what is left of uploads is dropped."""

    @property
    def rules(self) -> Rules:
        """What goes, and when."""
        return Rules(
            self.checkpoints_kept,
            self.ended_run_grace_s,
            self.deleted_grace_s,
            self.audit_retention_days,
            self.voice_audio_kept_s,
        )
