"""What machines and processes do now and did before, and what waits for them. A figure that cannot be had is null."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field


class GpuFigures(BaseModel):
    """One GPU, as its driver tells."""

    id: str
    name: str
    memory_bytes: int
    memory_used_bytes: int
    utilisation: float | None = Field(description="The share of the last moments in which a kernel ran.")
    power_watts: float | None
    temperature_celsius: float | None


class NodeFigures(BaseModel):
    """A machine. In a container the network is the container's own."""

    cpus: int
    cpu_percent: float | None = Field(description="Of all processors together.")
    load_1m: float | None
    memory_bytes: int
    memory_used_bytes: int
    disk_bytes: int | None = Field(description="Of the file system on which the process works.")
    disk_used_bytes: int | None
    disk_available_bytes: int | None = Field(
        None, description="What this process may still write there; less than what is not used, where some is reserved."
    )
    disk_read_bytes_per_s: float | None
    disk_written_bytes_per_s: float | None
    network_received_bytes_per_s: float | None
    network_sent_bytes_per_s: float | None
    gpus: list[GpuFigures] | None = Field(description="null where no process that uses GPUs looks at them.")


class LimitFigures(BaseModel):
    """What the control group of a process may take, and takes: a container, a pod, a unit."""

    cpus: float | None
    cpus_used: float | None
    memory_bytes: int | None
    memory_used_bytes: int | None


class ProcessFigures(BaseModel):
    """A process with all that it has started."""

    cpu_percent: float | None = Field(description="100 is one processor.")
    memory_bytes: int = Field(description="Resident; pages that two of them share count twice.")
    processes: int


class Sample(BaseModel):
    """What one process measured at one moment."""

    node: NodeFigures
    process: ProcessFigures
    limits: LimitFigures | None
    missing: dict[str, str] = Field(description="Why figures are null, by their names.")


class NodeFacts(BaseModel):
    """What of a machine does not change."""

    system: str
    architecture: str
    cpu_model: str | None
    is_container: bool


class NodeView(BaseModel):
    """A machine by the newest sample of any process on it."""

    name: str
    at: datetime
    services: list[str]
    figures: NodeFigures
    missing: dict[str, str]


class WorkerFacts(BaseModel):
    """A worker, as the job engine knows it."""

    queues: list[str]
    slots: int
    running: int
    draining: bool


class ProcessView(BaseModel):
    """A process of the platform."""

    name: str
    service: str
    node: str
    at: datetime
    started_at: datetime
    figures: ProcessFigures
    limits: LimitFigures | None
    worker: WorkerFacts | None


class QueueView(BaseModel):
    """What waits in a queue, of all projects together."""

    queue: str
    queued: int
    delayed: int = Field(description="To be tried again later.")
    running: int
    waiting: int = Field(description="Parents whose children work.")
    oldest_age_s: float | None = Field(description="How long the job has waited that has waited longest.")
    slots: int = Field(description="Of live workers that take its jobs; one of several queues counts in each.")


class MonitoringView(BaseModel):
    """All of it now."""

    at: datetime
    nodes: list[NodeView]
    processes: list[ProcessView]
    queues: list[QueueView]


class HardwareView(BaseModel):
    """A machine: what it is, and what it does."""

    name: str
    facts: NodeFacts
    figures: NodeFigures
    missing: dict[str, str]
    at: datetime


class Scope(StrEnum):
    """Whose history."""

    NODE = "node"
    PROCESS = "process"
    QUEUE = "queue"


class Window(StrEnum):
    """How far back."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class HistoryPoint(BaseModel):
    """Means over the period that begins then."""

    at: datetime
    values: dict[str, float | None]


class HistoryView(BaseModel):
    """What was measured, oldest first."""

    scope: Scope
    name: str
    window: Window
    period_s: int
    points: list[HistoryPoint]
