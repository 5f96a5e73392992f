"""What an attempt used: processor time of real processes, counters as drivers and kernel show them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from simorgh_shared.monitoring.processor_time import ProcessorTime
from simorgh_shared.monitoring.rapl import Packages
from simorgh_shared.queue.leases import Lease
from simorgh_shared.settings import TariffSettings
from simorgh_shared.worker.gpus import GpuReading
from simorgh_shared.worker.metering import Meter

# A process with a child of its own, both of which compute.
BURN = """
import subprocess, sys, time
def burn(seconds):
    while time.process_time() < seconds: pass
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, 'inner'])
burn(0.2)
"""


def lease(*devices: str) -> Lease:
    return Lease("job_a", "proj", "train", {}, 1, "token", "w", None, None, 0, devices)


def gpu(id: str, energy_joules: float | None, power_watts: float | None = None) -> GpuReading:
    return GpuReading(id, "GPU", 1, 1, 0.5, power_watts, energy_joules, 50.0)


class Driver:
    """Says one reading after the other: the port at which NVML stands."""

    def __init__(self, *readings: Sequence[GpuReading]) -> None:
        self._readings = list(readings)

    def __call__(self, only: Sequence[str]) -> list[GpuReading]:
        return [reading for reading in self._readings.pop(0) if reading.id in only]


class TestProcessorTime:
    def test_it_is_exact_when_the_process_has_ended(self, tmp_path: Path) -> None:
        """R-OPS-7: what the kernel tells of it and of the children that it waited for, read before it is gone."""
        path = tmp_path / "burn.py"
        path.write_text(BURN)
        process = subprocess.Popen([sys.executable, str(path)])
        time = ProcessorTime(process.pid)
        time.settle_at_end(wait=True)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        # Four figures (its own and its children's, user's and system's), each in whole ticks of 10 ms.
        assert time.seconds() == pytest.approx(used.ru_utime + used.ru_stime, abs=0.05)
        assert time.seconds() >= 0.37  # in ticks of 10 ms

    def test_a_process_that_is_gone_keeps_its_time(self) -> None:
        process = subprocess.Popen([sys.executable, "-c", "sum(range(10**7))"])
        time = ProcessorTime(process.pid)
        time.settle_at_end(wait=True)
        seconds = time.seconds()
        process.wait()
        time.settle_at_end(wait=False)
        assert time.seconds() == seconds > 0


class TestMeter:
    def test_a_processor_that_does_not_tell_is_estimated_and_said_so(self, tmp_path: Path) -> None:
        """R-OPS-7: with what was assumed."""
        meter = Meter(lease(), TariffSettings(energy_watts_per_core=8), packages=Packages(tmp_path))
        meter.follow(lambda: 100.0, since_start=True)
        used = meter.look()
        (part,) = used.energy
        assert (part.of, part.method, part.estimate, part.watts_per_core) == ("cpu", "cpu_time_by_watts", True, 8)
        assert used.energy_joules == pytest.approx(8 * used.cpu_seconds, rel=1e-3)
        assert used.cpu_seconds >= 100
        assert used.estimate
        assert used.cost is None

    def test_one_that_lived_before_counts_from_now_on(self, tmp_path: Path) -> None:
        """A warm engine."""
        seconds = [50.0, 53.0]
        meter = Meter(lease(), TariffSettings(), packages=Packages(tmp_path))
        meter.follow(lambda: seconds[0], since_start=False)
        del seconds[0]
        assert meter.look().cpu_seconds == pytest.approx(3.0, abs=0.5)

    def test_gpus_are_measured_by_their_drivers_counters(self, tmp_path: Path) -> None:
        """R-OPS-7: of the attempt's own devices alone."""
        first = [gpu("a", 1_000.0), gpu("b", 5_000.0), gpu("c", 7_000.0)]
        second = [gpu("a", 1_600.0), gpu("b", 5_900.0), gpu("c", 99_000.0)]
        meter = Meter(lease("a", "b"), TariffSettings(), Driver(first, second), Packages(tmp_path))
        part = next(one for one in meter.look().energy if one.of == "gpu")
        assert (part.joules, part.method, part.estimate) == (1_500.0, "nvml_energy_counter", False)

    def test_where_they_have_none_their_power_is_summed_up(self, tmp_path: Path) -> None:
        readings = [[gpu("a", None, 200.0)], [gpu("a", None, 200.0)]]
        meter = Meter(lease("a"), TariffSettings(), Driver(*readings), Packages(tmp_path))
        used = meter.look()
        part = next(one for one in used.energy if one.of == "gpu")
        assert part.method == "nvml_power"
        assert part.joules == pytest.approx(200.0 * used.wall_s, abs=1.0)

    def test_devices_that_no_driver_shows_are_not_measured(self, tmp_path: Path) -> None:
        meter = Meter(lease("a"), TariffSettings(), Driver([], []), Packages(tmp_path))
        used = meter.look()
        assert [part.of for part in used.energy] == ["cpu"]
        assert used.devices == 1

    def test_processors_counters_are_shared_by_processor_time(self, tmp_path: Path) -> None:
        """A part of a package is in the package already; a counter begins again at its range."""
        for name, energy in (("intel-rapl:0", 900_000_000), ("intel-rapl:0:0", 1)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "energy_uj").write_text(str(energy))
            (tmp_path / name / "max_energy_range_uj").write_text("1000000000")
        packages = Packages(tmp_path)
        meter = Meter(lease(), TariffSettings(), packages=packages)
        meter.follow(lambda: 1e6, since_start=True)  # more than all that the machine did: the whole is its share
        (tmp_path / "intel-rapl:0" / "energy_uj").write_text("50000000")
        (part,) = meter.look().energy
        assert (part.method, part.estimate) == ("rapl_by_cpu_time", False)
        assert part.joules == pytest.approx(150.0)

    def test_the_cost_is_that_of_energy_and_devices(self, tmp_path: Path) -> None:
        """R-OPS-7."""
        tariff = TariffSettings(
            energy_watts_per_core=10, price_per_kwh=0.36, price_per_device_hour=2.0, price_currency="EUR"
        )
        meter = Meter(lease("a"), tariff, Driver([], []), Packages(tmp_path))
        meter.follow(lambda: 360_000.0, since_start=True)  # by 10 W: 3.6 MJ, which is 1 kWh
        used = meter.look()
        assert used.cost is not None
        assert used.cost.currency == "EUR"
        assert used.cost.energy == pytest.approx(0.36, rel=1e-3)
        assert used.cost.devices == pytest.approx(2.0 * used.device_seconds / 3_600, abs=1e-6)
        assert used.cost.total == pytest.approx((used.cost.energy or 0) + (used.cost.devices or 0))
