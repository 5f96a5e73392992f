"""Failures of the machine under a run, told as errors that a user can act on."""

import errno
import json
from pathlib import Path

import torch
from pydantic import ValidationError

from simorgh_shared.domain.errors import AppError, InvalidInputError, UnavailableError
from simorgh_shared.schemas.training import TrainSpec

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


def explain(error: Exception, folder: Path) -> AppError | None:
    """The catalogue's error for this one; None for a fault of ours, which is to be seen whole."""
    if isinstance(error, AppError):
        return error
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "spec"
        return InvalidInputError("invalid_parameter", name=name, value=str(first["input"]), reason=first["msg"])
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError("disk_full", path=str(error.filename or folder))
    if _is_out_of_memory(error):
        return UnavailableError("out_of_memory", batch_size=_batch_size(folder))
    if "No space left on device" in str(error):  # safetensors does not keep the number
        return UnavailableError("disk_full", path=str(folder))
    return None


def _batch_size(folder: Path) -> int:
    spec = json.loads((folder / "run.json").read_bytes())["spec"]
    return int(spec.get("batch_size", TrainSpec.model_fields["batch_size"].default))


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
