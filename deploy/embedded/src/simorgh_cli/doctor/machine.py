"""Checks of the machine: Python, memory, processor, threads, GPU."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from simorgh_cli.doctor.findings import Finding, ok, remark, wrong
from simorgh_cli.terminal.output import size

_PYTHON = (3, 11)
# Measured on 2 cores: the platform takes 1.4 GB at rest, and 1.8 GB while the quick start trains.
_MEMORY_NEEDED_BYTES, _MEMORY_WISHED_BYTES = 2 * 10**9, 4 * 10**9
_CPU_INFO, _GPU_DEVICE = Path("/proc/cpuinfo"), Path("/dev/nvidia0")
_MEMORY_LIMITS = (  # of the container that we may be in: cgroup 2 and 1
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
_GPU_ANSWER_S = 30.0
_NO_DEVICE_BUILD = "cpu"


def python() -> Finding:
    """The version that the packages are made for."""
    found = platform.python_version()
    if sys.version_info[:2] != _PYTHON:
        return wrong("python", f"this is Python {found}", "Install Python 3.11 and make .venv anew: make clean setup")
    return ok("python", found)


def torch() -> Finding:
    """Whether PyTorch is there. It is not loaded: that takes seconds."""
    try:
        return ok("torch", version("torch"))
    except PackageNotFoundError:
        advice = "Without it nothing trains or answers: make setup, or pip install torch."
        return wrong("torch", "it is not installed", advice)


def espeak() -> Finding:
    """Whether eSpeak NG is there, the voice of most languages. It is not loaded here: it is the engine's."""
    try:
        return ok("voice: espeak", f"espeakng-loader {version('espeakng-loader')}")
    except PackageNotFoundError:
        advice = "Without it only models of voices speak: pip install 'simorgh-voice[espeak]'"
        return remark("voice: espeak", "it is not installed", advice)


def memory() -> Finding:
    """What is free for the platform, within the container's limit too."""
    free_bytes = min([psutil.virtual_memory().available, *_room_in_container()])
    found = f"{size(free_bytes)} free"
    if free_bytes < _MEMORY_NEEDED_BYTES:
        return wrong("memory", found, f"The platform needs {size(_MEMORY_NEEDED_BYTES)}: end other programs.")
    if free_bytes < _MEMORY_WISHED_BYTES:
        return remark("memory", found, "Enough for the smallest models; lower batch_size where a run needs more.")
    return ok("memory", found)


def processor() -> Finding:
    """Cores, and whether products can be computed in bf16."""
    cores = len(os.sched_getaffinity(0))
    flags = _processor_flags()
    names = {"amx_bf16": "AMX bf16", "avx512_bf16": "AVX-512 bf16", "bf16": "bf16", "avx2": "AVX2", "asimd": "NEON"}
    known = [shown for flag, shown in names.items() if flag in flags]
    found = f"{cores} core{'s' if cores > 1 else ''}, {', '.join(known) or 'no vector instructions that we know'}"
    if cores < 2:
        return remark("processor", found, "With one core a run and the API wait for each other.")
    if not {"amx_bf16", "avx512_bf16", "bf16"} & flags:
        return remark("processor", found, "Without bf16 runs compute in fp32 (precision auto does so by itself).")
    return ok("processor", found)


def threads(environment: Mapping[str, str]) -> Finding:
    """Variables that rule OpenMP's threads. `simorgh up` sets how they wait; the others it passes on."""
    given = {
        name: value for name, value in environment.items() if name.startswith(("OMP_", "GOMP_", "KMP_", "MKL_NUM"))
    }
    if not given:
        return ok("openmp", "nothing is set; simorgh up sets what is needed")
    found = ", ".join(f"{name}={value}" for name, value in sorted(given.items()))
    num_threads, cores = given.get("OMP_NUM_THREADS", ""), len(os.sched_getaffinity(0))
    if num_threads.isdecimal() and int(num_threads) > cores:
        return remark("openmp", found, f"More threads than the {cores} cores are slower: unset OMP_NUM_THREADS.")
    if given.get("OMP_WAIT_POLICY", "passive").lower() != "passive" or given.get("GOMP_SPINCOUNT", "0") != "0":
        advice = (
            "Waiting threads spin: for services that you start yourself set OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0."
        )
        return remark("openmp", found, advice)
    if "OMP_PROC_BIND" in given or "KMP_AFFINITY" in given:
        return remark("openmp", found, "Pinned threads share cores with other runs: unset it unless you mean it.")
    return ok("openmp", found)


def gpu() -> Finding:
    """The GPU, its driver, and whether the PyTorch that is installed can use it."""
    if not _GPU_DEVICE.exists():
        return remark("gpu", "there is none", "Runs use the processor.")
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    advice = "Install or reload NVIDIA's driver, and let the container see it (nvidia-container-toolkit)."
    try:
        asked = subprocess.run(query, capture_output=True, text=True, timeout=_GPU_ANSWER_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return remark("gpu", f"there is one, but nvidia-smi does not answer ({type(error).__name__})", advice)
    said = "; ".join((asked.stdout or asked.stderr).strip().splitlines())
    if asked.returncode != 0:
        return remark("gpu", f"there is one, but its driver says: {said}", advice)
    if _torch_build().startswith(_NO_DEVICE_BUILD):
        return remark(
            "gpu", f"{said}; torch {_torch_build()} cannot use it", "Install torch's build for CUDA: make setup"
        )
    return ok("gpu", said)


def _torch_build() -> str:
    try:
        return version("torch").partition("+")[2]
    except PackageNotFoundError:
        return ""


def _room_in_container() -> list[int]:
    for limit_path, used_path in _MEMORY_LIMITS:
        try:
            limit, used = limit_path.read_text().strip(), used_path.read_text().strip()
        except OSError:
            continue
        return [int(limit) - int(used)] if limit.isdecimal() else []
    return []


def _processor_flags() -> frozenset[str]:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return frozenset()
    return next((frozenset(line.split()) for line in lines if line.startswith(("flags", "Features"))), frozenset())
