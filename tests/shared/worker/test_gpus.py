"""R-OPS-5: GPUs by NVML, where there are any."""

from pathlib import Path

import pytest

from simorgh_shared.worker.gpus import GpuCollector, readings

HAS_GPU = Path("/dev/nvidia0").exists()


class TestReadings:
    @pytest.mark.skipif(HAS_GPU, reason="this machine has a GPU")
    def test_a_machine_without_a_driver_has_none(self) -> None:
        assert readings() == []

    @pytest.mark.gpu
    @pytest.mark.skipif(not HAS_GPU, reason="this machine has no GPU")
    def test_a_gpu_tells_what_it_does(self) -> None:
        found = readings()
        assert found
        for gpu in found:
            assert gpu.id.startswith(("GPU-", "MIG-"))
            assert 0 <= gpu.memory_used_bytes <= gpu.memory_bytes
            assert gpu.utilisation is None or 0 <= gpu.utilisation <= 1
            assert gpu.power_watts is None or 1 < gpu.power_watts < 2_000
        assert [gpu.id for gpu in readings([found[0].id])] == [found[0].id]


class TestGpuCollector:
    def test_a_worker_without_gpus_shows_none(self) -> None:
        """The names are known all the same: panels ask for them."""
        families = list(GpuCollector(()).collect())
        assert {family.name for family in families} == {family.name for family in GpuCollector(()).describe()}
        assert [family.samples for family in families if family.samples] == []

    @pytest.mark.gpu
    @pytest.mark.skipif(not HAS_GPU, reason="this machine has no GPU")
    def test_each_gpu_is_shown_once_by_its_own_id(self) -> None:
        ids = [gpu.id for gpu in readings()]
        for family in GpuCollector(ids).collect():
            assert [sample.labels["gpu"] for sample in family.samples] == ids
