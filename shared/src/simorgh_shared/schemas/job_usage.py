"""What a job used, in processor time, devices and energy, and what that costs."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class EnergyPart(BaseModel):
    """Energy of one kind of device, and how it is known."""

    of: Literal["gpu", "cpu"]
    joules: float
    method: Literal["nvml_energy_counter", "nvml_power", "rapl_by_cpu_time", "cpu_time_by_watts"] = Field(
        description=(
            "`nvml_energy_counter`: the driver's counter of the devices that the attempt had to itself; `nvml_power`:"
            " their power, summed up over time; `rapl_by_cpu_time`: the processors' counters, the attempt's share of"
            " them by processor time; `cpu_time_by_watts`: processor time by an assumed power of one core."
        )
    )
    estimate: bool = Field(description="Whether it rests on an assumption instead of a measurement.")
    watts_per_core: float | None = Field(None, description="What was assumed.")


class Cost(BaseModel):
    """By the prices that the worker was told."""

    currency: str
    energy: float | None = Field(description="null where no price per kWh is set.")
    devices: float | None = Field(description="null where no price per device hour is set.")
    total: float


class Usage(BaseModel):
    """Of an attempt, or of all attempts of a job."""

    wall_s: float
    cpu_seconds: float
    devices: int = Field(description="GPUs that were held.")
    device_seconds: float
    energy: list[EnergyPart]
    energy_joules: float
    estimate: bool = Field(description="Whether any of the energy is an estimate.")
    cost: Cost | None = Field(description="null where no price is set.")


class AttemptUsage(BaseModel):
    """One attempt. `usage` is null where nothing was measured, as before this was built."""

    attempt: int
    worker: str
    outcome: str | None
    started_at: datetime
    ended_at: datetime | None
    usage: Usage | None


class JobUsage(BaseModel):
    """All attempts, those that crashed too: of one that did, what was known at its last heartbeat."""

    job_id: str
    total: Usage | None
    complete: bool = Field(description="Whether every attempt was measured, and has ended.")
    attempts: list[AttemptUsage]
