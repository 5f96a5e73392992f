"""What the run computes on: threads, type of the products, their measured limit, memory."""

import platform
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils import deterministic

from simorgh_shared import allowance
from simorgh_shared.domain.errors import InvalidInputError
from simorgh_shared.schemas.training import Device, Precision, TrainSpec

_LIMIT_TRIAL_S = 0.15
_GPU_PRODUCT = 4_096
"""Rows and columns: 0.3 ms at 800 TFLOP/s, where asking for it takes 0.01."""


@dataclass(frozen=True)
class Hardware:
    """Where and in what type the run computes."""

    device: torch.device
    dtype: torch.dtype
    threads: int

    @property
    def precision(self) -> str:
        """The type's name in specs and events."""
        return "bf16" if self.dtype == torch.bfloat16 else "fp32"


def choose_hardware(spec: TrainSpec) -> Hardware:
    """Device, type and threads for a spec, set for this process; kernels that differ from run to run are refused."""
    device = _device(spec)
    threads = spec.threads or allowance.cores()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # It took a tenth of each step, and we read no memory that we have not written.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    wanted = spec.precision
    has_bf16 = gpu_has_bf16() if device.type == "cuda" else cpu_has_bf16()
    is_bf16 = wanted is Precision.BF16 or (wanted is Precision.AUTO and has_bf16)
    return Hardware(device, torch.bfloat16 if is_bf16 else torch.float32, threads)


def _device(spec: TrainSpec) -> torch.device:
    if spec.device is Device.CPU or not torch.cuda.is_available():
        if spec.device is Device.GPU:
            raise InvalidInputError("gpu_missing")
        return torch.device("cpu")
    return torch.device("cuda")


def cpu_has_bf16() -> bool:
    """Whether products in bf16 are faster here than in float32: emulated ones are slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def gpu_has_bf16() -> bool:
    """Whether this GPU multiplies in bf16 by itself; torch emulates it on older ones, and calls that support."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def product_limit(hardware: Hardware, tokens: int, hidden_size: int, intermediate_size: int) -> float:
    """Floating-point operations a second of a bare matrix product, now: on a CPU of the feed-forward's shape, on a GPU
    a large one, since a small one tells how quickly products are asked for."""
    if hardware.device.type == "cuda":
        tokens = hidden_size = intermediate_size = _GPU_PRODUCT
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(tokens, hidden_size, generator=generator).to(hardware.device, hardware.dtype)
    right = torch.randn(hidden_size, 2 * intermediate_size, generator=generator).to(hardware.device, hardware.dtype)
    _product(left, right, hardware)  # the first one chooses its kernel
    fastest_s = float("inf")
    deadline = time.perf_counter() + _LIMIT_TRIAL_S
    while time.perf_counter() < deadline:
        begun = time.perf_counter()
        _product(left, right, hardware)
        fastest_s = min(fastest_s, time.perf_counter() - begun)
    return 4.0 * tokens * hidden_size * intermediate_size / fastest_s


def _product(left: torch.Tensor, right: torch.Tensor, hardware: Hardware) -> None:
    left @ right
    if hardware.device.type == "cuda":
        torch.cuda.synchronize()


def memory_bytes(hardware: Hardware) -> int:
    """Memory in use: the most that tensors held on a GPU so far, else what of this process is resident."""
    if hardware.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def instruction_set(hardware: Hardware) -> str:
    """What decides which kernels run: equality of two runs needs it to be the same."""
    if hardware.device.type == "cuda":
        return torch.cuda.get_device_name()
    parts = [platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if torch.cpu._is_avx512_bf16_supported():
        parts.append("AVX512_BF16")
    if torch.cpu._is_amx_tile_supported():
        parts.append("AMX")
    return " ".join(parts)
