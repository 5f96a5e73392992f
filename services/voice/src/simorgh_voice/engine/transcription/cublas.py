"""cuBLAS of CUDA 12, which CTranslate2 asks for by its name when it first multiplies on a GPU, and does not bring."""

import ctypes
import importlib.util
from pathlib import Path

_NAME = "libcublas.so.12"


def has_cublas() -> bool:
    """Whether it is there: by the system's search path, or in the package `nvidia-cublas-cu12`, which is loaded then.

    torch's builds for CUDA 13 bring that of CUDA 13, which is not it.
    """
    return any(_loads(place) for place in (_NAME, *_in_packages()))


def _in_packages() -> list[str]:
    found = importlib.util.find_spec("nvidia")
    folders = [] if found is None else list(found.submodule_search_locations or ())
    return [str(Path(folder) / "cublas" / "lib" / _NAME) for folder in folders]


def _loads(place: str) -> bool:
    try:
        ctypes.CDLL(place, ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True
