"""Measures what one attempt uses: processor time, devices, energy; and what that costs (R-OPS-7).

On GPUs the energy is measured, of devices that the attempt has to itself. On processors it is measured where the kernel
shows its counters, and else an estimate that says so.
"""

import time
from collections.abc import Callable, Sequence
from threading import Lock, get_ident
from typing import Literal

import psutil
import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from simorgh_shared.logging import cause
from simorgh_shared.monitoring.rapl import Packages
from simorgh_shared.queue.leases import Lease
from simorgh_shared.schemas.job_usage import Cost, EnergyPart, Usage
from simorgh_shared.settings import TariffSettings
from simorgh_shared.worker.gpus import GpuReading, readings

log = structlog.get_logger()
_J_PER_KWH = 3.6e6
_Method = Literal["nvml_energy_counter", "nvml_power"]
_GpuReader = Callable[[Sequence[str]], list[GpuReading]]


class Meter:
    """Of one attempt; made in the thread that runs it, read by that of its heartbeat too."""

    def __init__(
        self,
        lease: Lease,
        tariff: TariffSettings,
        read_gpus: _GpuReader = readings,
        packages: Packages | None = None,
    ) -> None:
        self._lease = lease
        self._tariff = tariff
        self._lock = Lock()
        self._begun = time.monotonic()
        self._own_clock = time.pthread_getcpuclockid(get_ident())
        self._own_begun_s = time.clock_gettime(self._own_clock)
        self._sources: list[tuple[Callable[[], float], float]] = []
        self._cpu_s = 0.0
        self._gpus = _GpuEnergy(lease.devices, read_gpus) if lease.devices else None
        self._packages = packages or Packages()
        self._package_j = 0.0
        self._busy_s = _busy_s() if self._packages.can_be_read else 0.0
        self._wall_s = 0.0

    def follow(self, cpu_seconds: Callable[[], float], *, since_start: bool) -> None:
        """Count what a process takes: all of it, or what comes from now on where it lived before."""
        with self._lock:
            self._sources.append((cpu_seconds, 0.0 if since_start else cpu_seconds()))

    def look(self) -> Usage:
        """What was used until now; what was known last where the system does not tell: no job ends for a figure."""
        with self._lock:
            try:
                self._read()
            except (psutil.Error, OSError) as error:
                log.warning("not_metered", job_id=self._lease.job_id, reason=cause(error))
            return self._usage()

    def _read(self) -> None:
        before_s = self._cpu_s
        taken_s = sum(max(0.0, source() - begun_s) for source, begun_s in self._sources)
        own_s = max(0.0, time.clock_gettime(self._own_clock) - self._own_begun_s)
        self._cpu_s = max(self._cpu_s, taken_s + own_s)
        self._wall_s = time.monotonic() - self._begun
        if self._packages.can_be_read:
            self._share_packages(self._cpu_s - before_s)
        if self._gpus is not None:
            self._gpus.look()

    def keep(self, session: Session, used: Usage) -> None:
        """Write what was used into the attempt's row. The job's row comes first in every transaction that has both."""
        session.execute(
            sa.text(
                "UPDATE attempts SET usage = CAST(:usage AS jsonb)"
                " WHERE job_id = :job_id AND attempt = :attempt AND lease_token = :token"
            ),
            {
                "job_id": self._lease.job_id,
                "attempt": self._lease.attempt,
                "token": self._lease.token,
                "usage": used.model_dump_json(),
            },
        )

    def _share_packages(self, own_s: float) -> None:
        busy_s = _busy_s()
        share = min(1.0, own_s / max(own_s, busy_s - self._busy_s, 1e-9))
        self._package_j += share * self._packages.joules_since_last()
        self._busy_s = busy_s

    def _usage(self) -> Usage:
        energy = [self._cpu_energy()]
        if self._gpus is not None and self._gpus.method is not None:
            energy.append(
                EnergyPart(of="gpu", joules=round(self._gpus.joules, 3), method=self._gpus.method, estimate=False)
            )
        joules = sum(part.joules for part in energy)
        num_devices = len(self._lease.devices)
        device_s = num_devices * self._wall_s
        return Usage(
            wall_s=round(self._wall_s, 3),
            cpu_seconds=round(self._cpu_s, 3),
            devices=num_devices,
            device_seconds=round(device_s, 3),
            energy=energy,
            energy_joules=round(joules, 3),
            estimate=any(part.estimate for part in energy),
            cost=_cost(self._tariff, joules, device_s),
        )

    def _cpu_energy(self) -> EnergyPart:
        if self._packages.can_be_read:
            return EnergyPart(of="cpu", joules=round(self._package_j, 3), method="rapl_by_cpu_time", estimate=False)
        watts = self._tariff.energy_watts_per_core
        joules = round(self._cpu_s * watts, 3)
        return EnergyPart(of="cpu", joules=joules, method="cpu_time_by_watts", estimate=True, watts_per_core=watts)


class _GpuEnergy:
    """Energy of some devices: by the driver's counters, or by their power over time where it has none."""

    def __init__(self, devices: Sequence[str], read: _GpuReader) -> None:
        self._devices = devices
        self._read = read
        self._last = {gpu.id: gpu for gpu in read(devices)}
        self._at = time.monotonic()
        self._joules = dict.fromkeys(self._last, 0.0)
        self._by_power = False

    @property
    def joules(self) -> float:
        return sum(self._joules.values())

    @property
    def method(self) -> _Method | None:
        if not self._joules:
            return None  # no driver: the devices are only named
        return "nvml_power" if self._by_power else "nvml_energy_counter"

    def look(self) -> None:
        """Add what was drawn since the last look."""
        now = time.monotonic()
        for gpu in self._read(self._devices):
            last = self._last.get(gpu.id)
            if last is None:
                continue
            if gpu.energy_joules is not None and last.energy_joules is not None:
                self._joules[gpu.id] += max(0.0, gpu.energy_joules - last.energy_joules)
            elif gpu.power_watts is not None:
                self._by_power = True
                self._joules[gpu.id] += gpu.power_watts * (now - self._at)
            self._last[gpu.id] = gpu
        self._at = now


def _cost(tariff: TariffSettings, joules: float, device_s: float) -> Cost | None:
    if tariff.price_per_kwh is None and tariff.price_per_device_hour is None:
        return None
    energy = None if tariff.price_per_kwh is None else joules / _J_PER_KWH * tariff.price_per_kwh
    devices = None if tariff.price_per_device_hour is None else device_s / 3_600 * tariff.price_per_device_hour
    return Cost(currency=tariff.price_currency, energy=energy, devices=devices, total=(energy or 0) + (devices or 0))


def _busy_s() -> float:
    """Processor time of the whole machine."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))
