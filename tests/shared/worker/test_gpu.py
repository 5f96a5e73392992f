"""The GPUs that NVML tells of, and what a child sees of them."""

import os
import subprocess
import sys

from simorgh_shared.worker.capacity import detect_devices
from tests.support.gpu import needs_gpu

pytestmark = needs_gpu
_ASK = "import torch; print(torch.cuda.device_count(), torch.cuda.get_device_properties(0).total_memory)"


def test_each_is_known_by_the_name_that_cuda_takes() -> None:
    """R-OPS-3: a worker tells its devices; a job's child sees the one that the job holds."""
    first = detect_devices(os.environ)[0]
    assert first.id.startswith("GPU-")
    assert first.name
    told = subprocess.run(
        [sys.executable, "-c", _ASK],
        env=dict(os.environ) | {"CUDA_VISIBLE_DEVICES": first.id},
        capture_output=True,
        text=True,
        check=True,
    )
    count, memory_bytes = map(int, told.stdout.split())
    assert count == 1
    assert 0.9 * first.memory_bytes < memory_bytes <= first.memory_bytes


def test_what_is_hidden_is_not_there() -> None:
    own = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    first = detect_devices(own)[0]
    assert detect_devices(own | {"CUDA_VISIBLE_DEVICES": ""}) == []
    assert detect_devices(own | {"CUDA_VISIBLE_DEVICES": "0"}) == [first]
    assert detect_devices(own | {"CUDA_VISIBLE_DEVICES": first.id[:12]}) == [first]
    assert detect_devices(own | {"CUDA_VISIBLE_DEVICES": "GPU-none"}) == []
