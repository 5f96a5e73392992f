"""Whether models are served on a GPU, found out without loading torch."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

_DRIVERS = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/dxg"))


def has_gpu(wanted: str, environment: Mapping[str, str]) -> bool:
    """Whether engines get one: as the setting says; with `auto` where there is a driver that torch's build can use."""
    if wanted != "auto":
        return wanted == "cuda"
    is_hidden = environment.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return not is_hidden and any(path.exists() for path in _DRIVERS) and _torch_has_cuda()


def _torch_has_cuda() -> bool:
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    return (Path(found.origin).parent / "lib" / "libtorch_cuda.so").is_file()
