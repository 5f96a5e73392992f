"""What the GPUs of this machine do now, by NVML: read at once, or at each scrape of Prometheus."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pynvml
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from simorgh_shared.schemas.monitoring import GpuFigures


@dataclass(frozen=True)
class GpuReading:
    """One GPU at one moment. What its driver does not tell is None."""

    id: str
    name: str
    memory_bytes: int
    memory_used_bytes: int
    utilisation: float | None
    """The share of the last moments in which a kernel ran."""
    power_watts: float | None
    energy_joules: float | None
    """Since the driver was loaded."""
    temperature_celsius: float | None


def readings(only: Collection[str] | None = None) -> list[GpuReading]:
    """All GPUs that the driver shows, or those with these ids; none where there is no driver."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        found = [_read(handle) for handle in handles]
    except pynvml.NVMLError:
        return []  # one that falls off its bus takes the others' readings with it, for this time
    finally:
        pynvml.nvmlShutdown()
    return [reading for reading in found if only is None or reading.id in only]


def _read(handle: Any) -> GpuReading:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return GpuReading(
        id=pynvml.nvmlDeviceGetUUID(handle),
        name=pynvml.nvmlDeviceGetName(handle),
        memory_bytes=int(memory.total),
        memory_used_bytes=int(memory.used),
        utilisation=_told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        power_watts=_told(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000),
        energy_joules=_told(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000),
        temperature_celsius=_told(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
    )


def _told(ask: Callable[[], float]) -> float | None:
    try:
        return float(ask())
    except pynvml.NVMLError:
        return None


def figures(only: Collection[str] | None = None) -> list[GpuFigures]:
    """The same, as monitoring shows it."""
    return [
        GpuFigures(
            id=gpu.id,
            name=gpu.name,
            memory_bytes=gpu.memory_bytes,
            memory_used_bytes=gpu.memory_used_bytes,
            utilisation=gpu.utilisation,
            power_watts=gpu.power_watts,
            temperature_celsius=gpu.temperature_celsius,
        )
        for gpu in readings(only)
    ]


class GpuCollector(Collector):
    """The GPUs that a worker may use. Several processes of a machine may show the same one: `max by (gpu)`."""

    def __init__(self, only: Collection[str]) -> None:
        self._only = only

    def describe(self) -> Iterable[Metric]:
        """Their names, without asking the driver."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """Ask the driver now."""
        families = _families()
        for gpu in readings(self._only) if self._only else []:
            values = {
                "used": gpu.memory_used_bytes,
                "memory": gpu.memory_bytes,
                "busy": gpu.utilisation,
                "power": gpu.power_watts,
                "energy": gpu.energy_joules,
                "heat": gpu.temperature_celsius,
            }
            for name, value in values.items():
                if value is not None:
                    families[name].add_metric([gpu.id], value)
        return families.values()


def _families() -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
    labels = ["gpu"]  # the device's own id: as many as the machines hold
    return {
        "busy": GaugeMetricFamily(
            "simorgh_gpu_utilisation_ratio", "Share of time in which a kernel ran", labels=labels
        ),
        "used": GaugeMetricFamily("simorgh_gpu_memory_used_bytes", "Memory that is taken, by whomever", labels=labels),
        "memory": GaugeMetricFamily("simorgh_gpu_memory_bytes", "Memory that it has", labels=labels),
        "power": GaugeMetricFamily("simorgh_gpu_power_watts", "What it draws", labels=labels),
        "energy": CounterMetricFamily("simorgh_gpu_energy_joules", "What it has drawn", labels=labels),
        "heat": GaugeMetricFamily("simorgh_gpu_temperature_celsius", "How hot it is", labels=labels),
    }
